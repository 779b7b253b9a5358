// How far a map has come, in words and as a bar. Pure; progress.hpp says where it is shown.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "client/cli/halt.hpp"

namespace poold::cli {

// The pace of late: older seconds count less and less.
class Pace {
 public:
  using Instant = std::chrono::steady_clock::time_point;
  explicit Pace(Instant begin) : at_(begin) {}
  void update(std::uint64_t done, Instant now);
  double per_second() const { return weight_ > 0 ? weighted_ / weight_ : 0; }

 private:
  Instant at_;
  std::uint64_t done_ = 0;
  double weighted_ = 0;
  double weight_ = 0;  // below 1 until enough was seen
};

struct ProgressState {
  Tally tally;
  std::uint64_t skipped = 0;           // done by an earlier run
  std::optional<std::uint64_t> total;  // of all items, once known
};

// " 42% [=====>      ]  420/1000  35/s  16s left  3 failed", at most `width` columns.
std::string progress_bar(const ProgressState& state, double per_second, std::size_t width);
// "420 of 1000 done, 35/s, 16s left, 3 failed"
std::string progress_text(const ProgressState& state, double per_second);
// "35/s", "1.2k/s", "0.4/s"
std::string pace_text(double per_second);

}  // namespace poold::cli
