// Tasks that come again and again: which of them are due, what becomes of times that were missed, and what if
// the task before has not ended. Pure, like the rest of the core; but where that counts on a clock that only
// goes forward, these follow the clock on the wall, in seconds since 1970: it may be set, and the machine may
// sleep.
//
// What a schedule submits is not known here. Whoever asks take_due() submits it, as overlap_decision() says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/cron.hpp"
#include "daemon/core/core.hpp"

namespace poold::core {

// What is due while the schedule's last task has not ended.
enum class Overlap : std::uint8_t {
  skip,     // nothing happens
  queue,    // the new task starts when the last has ended
  replace,  // the last is cancelled, and the new one starts when it has ended
};

// What was missed: the machine slept, the clock was put forward, the daemon had no time.
enum class CatchUp : std::uint8_t {
  once,  // runs once, however many times were missed
  all,   // runs for every time, up to catch_up_max
  none,  // what is more than on_time_max late does not run
};
inline constexpr std::int64_t on_time_max = 60;
inline constexpr std::size_t catch_up_max = 100;

struct ScheduleSettings {
  std::string name;
  Recurrence recurrence;
  std::shared_ptr<const TimeZone> zone;
  Overlap overlap = Overlap::skip;
  CatchUp catch_up = CatchUp::once;
  std::int64_t jitter = 0;  // each run comes up to so many seconds later, always as many for the same time
};

struct Schedule {
  ScheduleSettings settings;
  std::int64_t start = 0;           // when it was added: "every" counts from there
  std::int64_t looked_at = 0;       // times up to here are settled
  std::optional<std::int64_t> due;  // the next run, its jitter included
  std::optional<TaskId> last_task;
  std::optional<std::int64_t> last_run;
  std::uint64_t runs = 0;
  std::uint64_t missed = 0;   // by catch_up
  std::uint64_t skipped = 0;  // by overlap
};

class Schedules {
 public:
  // In the place of one of this name.
  Schedule& put(ScheduleSettings settings, std::int64_t now);
  // One that was put earlier, with its counts: what came due since is due now.
  void restore(Schedule&& schedule);
  bool remove(const std::string& name) { return schedules_.erase(name) > 0; }
  Schedule* find(const std::string& name);
  const std::map<std::string, Schedule>& all() const { return schedules_; }

  std::optional<std::int64_t> next_due() const;
  // What is to run now: a name for each run, those of one schedule in their order.
  std::vector<std::string> take_due(std::int64_t now);
  // The clock was set.
  void clock_set(std::int64_t now);

 private:
  std::map<std::string, Schedule> schedules_;
};

enum class OverlapDecision : std::uint8_t { run, run_after_last, replace_last, skip };
OverlapDecision overlap_decision(const State& state, const Schedule& schedule);

}  // namespace poold::core
