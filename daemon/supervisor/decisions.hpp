// The supervisor's rules as pure functions of values.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include "daemon/settings/settings.hpp"

namespace poold::supervisor {

using std::chrono::milliseconds;

inline constexpr milliseconds engine_delay_first{100};
inline constexpr milliseconds engine_delay_max{10'000};

// How long the next engine waits after one has ended: not at all if that one had served, for clients are
// waiting; longer each time while they end before that. `previous` is the answer before this one.
inline milliseconds engine_delay(bool was_ready, milliseconds previous) {
  if (was_ready) return milliseconds{0};
  return std::clamp(previous * 2, engine_delay_first, engine_delay_max);
}

// How often an engine is asked whether it lives, how long it may take to answer, and how long to go.
struct EngineTimes {
  milliseconds period{15'000};
  milliseconds patience{30'000};
  // From the end of its channel to its own end: it has nothing left to do.
  milliseconds farewell{1'000};
};

// The watchdog is fed by the engine's answers alone. An engine that stands still is killed three periods
// after its last answer, so that a quarter of the watchdog's time is left for the next one to serve and
// answer: the service manager ends the whole daemon only if that does not help.
inline EngineTimes engine_times(std::optional<std::chrono::microseconds> watchdog) {
  EngineTimes times;
  if (!watchdog) return times;
  const auto quarter = std::chrono::duration_cast<milliseconds>(*watchdog / 4);
  times.period = std::clamp(quarter, milliseconds{1}, times.period);
  times.patience = 2 * times.period;
  return times;
}

// A client that wants to wait longer than this for running tasks to end wants no time-out; the number stays
// far from any overflow.
inline constexpr milliseconds stop_timeout_max{std::chrono::hours{24 * 365}};

// How long running attempts have: what was asked for, or as configured.
inline milliseconds stop_timeout(bool now, std::int64_t asked_ms, milliseconds configured) {
  if (now) return milliseconds{0};
  if (asked_ms <= 0) return configured;
  return std::min(milliseconds{asked_ms}, stop_timeout_max);
}

// For the engine to notice that the last attempt is gone, answer its clients, and exit.
inline constexpr milliseconds stop_margin{5'000};

// When the supervisor ends by itself what a stopping engine has not: time-out, SIGTERM to SIGKILL in the
// slowest pool, and a margin.
inline milliseconds stop_limit(milliseconds timeout, const settings::Settings& settings) {
  milliseconds grace_max{0};
  for (const settings::Pool& pool : settings.pools) grace_max = std::max(grace_max, pool.grace);
  for (const settings::Pool& pool : settings.templates) grace_max = std::max(grace_max, pool.grace);
  return timeout + grace_max + stop_margin;
}

}  // namespace poold::supervisor
