// Pools, their slots and their queues: the tables the core decides on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/core/queue.hpp"
#include "daemon/core/rate.hpp"
#include "daemon/core/task.hpp"
#include "daemon/core/types.hpp"

namespace poold::core {

// How long a worker serves before it is replaced; 0: for ever. `spread` makes it less, by up to so many per
// cent, another part for each worker.
struct WorkerService {
  std::uint32_t tasks = 0;
  Duration age{};
  std::uint64_t memory = 0;  // resident, in bytes
  std::uint32_t spread = 20;
  bool operator==(const WorkerService&) const = default;
};

// What the core needs of a pool's configuration. `program` only tells whether two configurations run the same
// thing.
struct PoolSettings {
  std::string name;
  std::uint32_t workers = 1;                 // at most
  std::optional<std::uint32_t> workers_min;  // absent: as many
  std::uint32_t spare = 0;                   // open beyond the work there is
  Duration idle_timeout = std::chrono::seconds(60);
  WorkerService service;
  std::uint32_t queue_size = 1'000'000;
  std::uint32_t user_tasks_max = 0;  // unfinished tasks of one user; 0: no limit
  std::uint32_t crash_attempts = 5;
  std::uint32_t tasks_per_worker = 0;  // then it is replaced; 0: any number
  Duration ageing = ageing_default;    // what a point of priority is worth in waiting; 0: everything
  std::vector<Share> shares;           // of users; those not named have weight 1
  Rate rate;                           // of starts
  Duration grace = std::chrono::seconds(5);
  Duration start_timeout = std::chrono::seconds(30);
  bool durable = false;  // its tasks outlive this process: each change is in Step::writes
  bool one_task =
      false;  // for one task: when that has ended, the pool is removed, whatever became of its worker
  bool ends_own_tasks = false;  // its workers enforce the grace of a cancel themselves (commands)
  std::string program;
  bool operator==(const PoolSettings&) const = default;
};

// Why a worker that is STOPPING leaves.
enum class StopReason : std::uint8_t {
  none,       // it is not STOPPING
  closed,     // it closed its result pipe: nothing more is sent to it, and it gets a moment to exit by itself
  its_fault,  // it was killed for what it did, or did not do
  our_wish,   // it was killed because it is not wanted
  its_task,   // it was killed because of a cancelled task, or one whose time was over, that did not end
};

// A place in a pool that outlives its processes.
struct Slot {
  WorkerState state = WorkerState::vacant;
  Generation generation = 0;  // of the process that is there, or was last
  std::int32_t pid = 0;
  bool start_requested = false;  // the supervisor was asked and has not answered
  bool adopted = false;          // an earlier engine started it, and it has not said yet what it runs
  bool hello = false;            // this process has said hello
  bool in_idle = false;          // stands in its pool's idle list (perhaps stale; checked when taken)
  bool outdated = false;         // to be replaced: recycle or a changed program
  bool removed = false;          // above the pool's size: not to be filled again
  bool closed = false;           // not needed now; of pools whose size follows the work
  bool return_pending = false;   // was asked for tasks and has not answered
  bool watch_armed = false;      // a timer will look whether its running task holds others up
  StopReason stop_reason = StopReason::none;
  TaskList held;  // handed over, in order; the first is the one that runs
  Time started_at;
  Time head_since;           // since when the first of `held` can have been running
  Time return_due;           // when the answer to the last request for tasks is late
  Time one_at_a_time_until;  // after it gave tasks back late; for ever if it asked for it
  std::uint64_t finished = 0;
  std::uint64_t tasks_max = UINT64_MAX;  // is to be replaced when it has finished so many
  // Since the last update of the pool's estimate.
  Duration measured{};
  std::uint32_t measured_count = 0;
};

struct StartFailure {
  std::int32_t errno_value = 0;  // 0: it started, but ended or fell silent before its hello
  std::string path;
  std::string message;
};

// Longer is not told apart: nothing is sent ahead of such tasks anyway, and the estimate is soon down again
// when short ones follow.
inline constexpr Duration run_time_max = std::chrono::milliseconds(10);

struct PoolCounters {
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t refused = 0;
  std::uint64_t workers_lost = 0;  // ended without being asked to
  std::uint64_t stale = 0;         // frames about attempts that are over, or that never were
};

struct Pool {
  PoolSettings settings;
  std::uint32_t size = 0;   // slots at most: the configured number, or what an operator asked for since
  std::uint32_t min = 0;    // slots at least; the same as `size` where it does not follow the work
  std::uint32_t least = 0;  // what `min` is while all pools together may have so many
  bool surge = false;       // one slot more, while workers are replaced
  std::vector<Slot> slots;
  std::vector<std::uint32_t> idle;  // slots that may be idle; the most recently used last
  Queue queue;
  TaskList waiting;           // for a time, a parent, a release
  std::uint32_t parked = 0;   // tasks that wait for a limit's tokens, in its list
  std::uint32_t running = 0;  // tasks held by workers
  Bucket bucket;              // of settings.rate
  bool rate_timer_armed = false;
  std::unordered_map<std::uint32_t, std::uint32_t> user_tasks;  // by uid, while settings.user_tasks_max
  bool paused = false;
  std::uint32_t paused_by = 0;  // a uid
  bool draining = false;
  bool removed = false;    // not in the configuration any more; goes when its last task and worker are gone
  bool was_ready = false;  // a worker has said hello since the pool was made
  bool recycling = false;  // some slot may be outdated
  bool idle_timer_armed = false;  // a timer will look whether a worker has idled long enough
  bool wants_room = false;  // a slot is empty because all pools together have as many processes as may be
  bool dirty = false;       // schedule() has to look at its queue ...
  bool attend = false;      // ... and at its processes
  // Starting: failures in a row, and no new process until then.
  std::uint32_t start_failures = 0;
  // The failures before the hello that ended a throttle. They count again if that worker was of no use, so
  // that a program that says hello and exits is throttled ever longer too.
  std::uint32_t failures_before_hello = 0;
  Time throttled_until;
  StartFailure start_failure;
  // Estimated run time of a task, from which the window of tasks sent ahead follows. Starts long: nothing is
  // sent ahead before it was seen that tasks are short.
  Duration run_time = run_time_max;
  PoolCounters counters;

  bool throttled() const { return start_failures > 0; }
  // Tasks that are to run and do not.
  std::uint32_t pending() const { return queue.size() + waiting.size() + parked; }
};

PoolState state_of(const Pool& pool);
// Workers that have said hello and are not on their way out.
std::uint32_t ready_workers(const Pool& pool);
std::uint32_t busy_workers(const Pool& pool);
std::uint32_t live_processes(const Pool& pool);

}  // namespace poold::core
