// Every decision of poold: task and worker life cycles, queues, retry, throttle, sizing, limits.
//
// Pure: no sockets, processes, threads, clock, random device or logger. Events and the time come in, effects
// go out; the daemon and the simulator run it unchanged. A turn is: handle() for each event, schedule() once,
// perform the Step.
//
// Where to look: submission.cpp (tasks in and out), attempt.cpp (how attempts end), worker.cpp (processes),
// operate.cpp (operators' wishes), timers.cpp (what time brings), schedule.cpp (which task goes where),
// sizing.cpp (how many workers), waiting.cpp (when a task may run), limit.cpp (beside how many others),
// retry.cpp (when it fails), group.cpp (many under one name), explain.cpp (why it does not run),
// invariants.cpp (what must always hold).
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/core/events.hpp"
#include "daemon/core/group.hpp"
#include "daemon/core/limit.hpp"
#include "daemon/core/pool.hpp"
#include "daemon/core/step.hpp"
#include "daemon/core/task.hpp"
#include "daemon/core/task_timers.hpp"

namespace poold::core {

// What a timer looks at when it rings. None is cancelled: each looks whether its reason still holds, and schedule() drops
// those at the front that are for nothing.
enum class TimerKind : std::uint8_t {
  start_overdue,   // no hello yet
  throttle_ends,   // another process may be tried
  head_watch,      // is the running task holding others up?
  cancel_overdue,  // a cancelled task still runs
  exit_overdue,    // a worker that was told to go, or closed its pipe, is still there
  stop_overdue,    // the daemon's stop has waited long enough
  pool_refills,    // the pool's rate allows another start
  limit_refills,   // a limit's rate allows another start; `task` is the limit's number
  idle_check,      // has some worker of the pool idled long enough?
  room_check,      // some pool wants a process, and all together have as many as may be
  worker_ages,     // it has served its time
};
struct Timer {
  Time at;
  TimerKind kind;
  WorkerRef worker;
  Sequence task = 0;
  std::uint32_t attempt = 0;
  bool operator>(const Timer& other) const { return at > other.at; }
};

// The tables. Read by anybody, changed by the core's handlers only.
struct State {
  TaskTable tasks;
  std::vector<Pool> pools;
  std::unordered_map<std::string, PoolIndex> pool_names;
  std::unordered_map<std::string, KeyEntry> keys;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers;
  TaskTimers task_timers;
  Limits limits;
  std::map<std::uint64_t, Limit*> limit_numbers;
  std::uint64_t last_limit = 0;
  // Who waits for a task to end. A child that ended before may still be in here.
  std::unordered_map<Sequence, std::vector<Sequence>> children;
  std::vector<std::pair<Sequence, bool>> ended_parents;  // in this event, and whether they succeeded
  Groups groups;
  std::vector<GroupKey> ended_groups;  // in this event; somebody waits for them
  std::vector<PoolIndex> dirty;        // pools schedule() has to look at
  std::uint32_t workers_max = 0;       // of all pools; 0: no limit
  bool room_timer_armed = false;
  bool stopping = false;
  bool stop_complete = false;
};

class Core {
 public:
  void handle(Event&& event, Time now, Step& step);
  // The hot events, without a variant around them.
  void handle(Submit&& event, Time now, Step& step);
  void handle(WorkerResult&& event, Time now, Step& step);

  // Matches eligible tasks to workers, starts and retires workers. Once a turn, after the events.
  void schedule(Time now, Step& step);

  // When to be woken with TimePassed; Time::max() if never.
  Time next_deadline() const {
    const Time tasks = state_.task_timers.next();
    return state_.timers.empty() ? tasks : std::min(tasks, state_.timers.top().at);
  }

  const State& state() const { return state_; }
  const Pool* find_pool(const std::string& name) const;
  // A task of a durable pool has been sent, after its commit.
  void sent(const WorkerRef& worker, Sequence task, Time now);
  // For the mark that somebody watches the task; null if it has ended.
  Task* find_live(Sequence task) { return state_.tasks.find(task); }

 private:
  State state_;
};

// Why a task of this user cannot be taken in now; nothing if it can.
std::optional<Refusal> refusal_of_submission(const State& state, const Pool& pool, std::uint32_t uid);
// Would it be refused only because there is no room at the moment?
bool is_full(const State& state, const Pool& pool, std::uint32_t uid);
// The same for what it asks of groups.
std::optional<Refusal> refusal_by_group(const State& state, const TaskOptions& options, std::uint32_t uid);
// Why an ended task cannot be tried again now; nothing if it can.
std::optional<Refusal> refusal_of_retry(const State& state, const Task& task);

// Empty, or what is wrong: every cross-link derived again. Costs time in proportion to everything there is.
std::string broken_invariant(const State& state);

}  // namespace poold::core
