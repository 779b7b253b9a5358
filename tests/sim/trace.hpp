// What happened in a simulation: always as a hash, in words only where somebody will read them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/core.hpp"

namespace poold::sim {

class Trace {
 public:
  explicit Trace(bool in_words) : in_words_(in_words) {}

  void mix(std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9fb21c651e98df25;
    hash_ ^= hash_ >> 35;
  }
  template <class Text>
  void say(Text text) {
    if (in_words_) lines_.push_back(text());
  }
  void effect(const core::State& state, const core::Effect& effect);
  void promise(const core::State& state, const core::Promise& promise);

  std::uint64_t hash() const { return hash_; }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  bool in_words_;
  std::uint64_t hash_ = 0xcbf29ce484222325;
  std::vector<std::string> lines_;
};

}  // namespace poold::sim
