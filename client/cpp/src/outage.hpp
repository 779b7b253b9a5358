// How long, and how often, a daemon that was lost is tried again: its engine died and the supervisor starts
// another, or it is restarted. Decides; who has lost it waits and connects.
#pragma once

#include <chrono>
#include <optional>

namespace poold {

class Outage {
 public:
  using milliseconds = std::chrono::milliseconds;
  // How long one try may take: an engine that still reads its store lets connections wait. A connection that
  // breaks sooner, and over which nothing came, belongs to the same outage.
  static constexpr milliseconds try_timeout{5'000};

  // `limit`: how long the daemon may stay away; 0: it is never tried again.
  explicit Outage(milliseconds limit) : limit_(limit) {}
  milliseconds limit() const { return limit_; }
  bool allowed() const { return limit_.count() > 0; }

  // The connection broke: from now on the limit counts.
  void begin();
  // For how long it has been away.
  milliseconds duration() const;
  // How long to pause before the next try; nothing if the time is up.
  std::optional<milliseconds> next_pause();

 private:
  milliseconds limit_;
  std::chrono::steady_clock::time_point since_{};
  milliseconds pause_{0};
};

}  // namespace poold
