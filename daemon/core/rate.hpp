// So many starts in a time, with bursts: a token bucket, kept as the time when it would be full again (the
// generic cell rate algorithm, ITU-T I.371), so that it needs neither a clock nor a timer of its own.
#pragma once

#include <algorithm>
#include <cstdint>

#include "daemon/core/types.hpp"

namespace poold::core {

inline constexpr std::uint32_t rate_count_max = 1'000'000;

struct Rate {
  std::uint32_t count = 0;  // 0: no limit
  Duration per = std::chrono::seconds(1);
  std::uint32_t burst = 1;  // so many at once after a pause
  bool operator==(const Rate&) const = default;
  explicit operator bool() const { return count > 0; }
  Duration interval() const { return std::max(per / count, Duration(1)); }
};

class Bucket {
 public:
  // How many may start now.
  std::uint32_t available(const Rate& rate, Time now) const {
    const Duration room = rate.interval() * rate.burst - (std::max(full_at_, now) - now);
    return room < Duration{} ? 0 : static_cast<std::uint32_t>(room / rate.interval());
  }
  // When so many may; the count is at most the burst.
  Time when(const Rate& rate, Time now, std::uint32_t count) const {
    return std::max(now, full_at_ - rate.interval() * rate.burst + rate.interval() * count);
  }
  void take(const Rate& rate, Time now) { full_at_ = std::max(full_at_, now) + rate.interval(); }
  // The start did not happen.
  void give_back(const Rate& rate) { full_at_ -= rate.interval(); }

 private:
  Time full_at_{};
};

}  // namespace poold::core
