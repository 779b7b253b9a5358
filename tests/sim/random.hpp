// The chances of a simulation: the same numbers from the same seed on every machine, unlike the standard's
// distributions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace poold::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  // SplitMix64 (Steele, Lea, Flood 2014): one addition and a mixing, no table to fill for a run of a
  // millisecond.
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t end) { return next() % end; }
  std::uint32_t number_below(std::uint32_t end) { return static_cast<std::uint32_t>(below(end)); }
  // Both ends included.
  std::uint32_t between(std::uint32_t first, std::uint32_t last) {
    return first + number_below(last - first + 1);
  }
  bool chance(std::uint32_t percent) { return below(100) < percent; }
  template <class Container>
  auto& pick(Container& container) {
    return *std::next(container.begin(), static_cast<std::ptrdiff_t>(below(container.size())));
  }

 private:
  std::uint64_t state_;
};

}  // namespace poold::sim
