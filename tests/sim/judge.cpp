// What may follow from what happened: the bystander's view of a simulation.
#include <algorithm>

#include "common/overloaded.hpp"
#include "tests/sim/simulation.hpp"

namespace poold::sim {
namespace {

// Towards the number of all pools together.
bool counted(const Pool& pool) { return !pool.removed && !pool.settings.one_task; }

}  // namespace

void Simulation::require(bool holds, const char* what) {
  if (!holds && complaint_.empty()) complaint_ = what;
}

void Simulation::require_task(bool holds, Sequence task, const char* what) {
  require(holds, [&] { return "task " + std::to_string(task) + " " + what; });
}

Simulation::Known& Simulation::known(Sequence task) {
  require_task(task < tasks_.size(), task, "was never submitted");
  return tasks_[task < tasks_.size() ? task : 0];
}

// Everything that is sent to a worker is sent to one that is there, or was when this turn began.
Simulation::Worker& Simulation::receiver(WorkerRef ref) {
  thread_local Worker nobody;
  nobody = Worker();
  nobody.hello = true;
  const auto at = workers_.find({ref.pool, ref.slot});
  const bool there = at != workers_.end() && at->second.ref == ref;
  require(there || gone_.contains(ref), "something is sent to a worker that is gone");
  return there ? at->second : nobody;
}

void Simulation::perform(const Effect& effect) {
  const auto visitor = Overloaded{
      [&](const StartWorker& e) {
        require(!stopping_, "a worker is started after the stop");
        require(
            workers_max_ == 0 || !counted(core_.state().pools[e.pool]) || count_processes() < workers_max_,
            "more processes than all pools together may have");
        require(!workers_.contains({e.pool, e.slot}), "a worker is started over a living one");
        require(starting_.insert({e.pool, e.slot}).second, "a worker is started twice");
      },
      [&](const SignalWorker& e) {
        Worker& worker = receiver(e.worker);
        require(e.signal == 9 && !std::exchange(worker.killed, true), "a worker is killed twice");
      },
      [&](const StopWorker& e) {
        Worker& worker = receiver(e.worker);
        require(worker.hello && !worker.killed, "a worker is told to stop that cannot be");
        require(!worker.told_to_stop, "a worker is told to stop twice");
        tell(worker, {.frame = to_worker::stop});
      },
      [&](const ReturnTasks& e) { asked_back(e); },
      [&](const CancelAttempt& e) { cancelled(e); },
      [&](const SignalAttempt& e) {
        require_task(known(e.task).on == e.worker, e.task, "is signalled elsewhere");
      },
      [&](const PoolThrottled& e) {
        require(e.delay >= 100ms && e.delay <= 30s, "a throttle without measure");
      },
      [&](const PoolHealed&) {},
      [&](const WorkerCondemned&) {},
      [&](const StopComplete&) {
        require(stopping_ && ++stop_completes_ == 1, "the stop is complete twice");
        require(workers_.empty() && starting_.empty(), "the stop is complete and processes are there");
      },
  };
  std::visit(visitor, effect);
}

void Simulation::asked_back(const ReturnTasks& effect) {
  Worker& worker = receiver(effect.worker);
  require(!effect.tasks.empty(), "a worker is asked for nothing");
  for (const Sequence task : effect.tasks)
    require_task(known(task).on == effect.worker, task, "is asked back from another worker");
  tell(worker, {.frame = to_worker::give_back, .tasks = effect.tasks});
}

void Simulation::cancelled(const CancelAttempt& effect) {
  Known& task = known(effect.task);
  require_task(task.on == effect.worker, effect.task, "is cancelled elsewhere");
  if (effect.timed_out) {
    const bool late =
        task.wishes &&
        ((task.wishes->timeout > Duration{} && now_ >= task.started_at + task.wishes->timeout) ||
         now_ >= task.wishes->deadline_at);
    require_task(late && !std::exchange(task.timed_out, true), effect.task, "is timed out and has time left");
  } else {
    if (stopping_) task.cancelled = true;  // the stop's time-out did it
    require_task(task.cancelled, effect.task, "is cancelled by nobody");
  }
  Worker& worker = receiver(effect.worker);
  tell(worker, {to_worker::cancel, {effect.task}, effect.attempt, effect.timed_out});
  if (worker.stubborn) faults_.count(Fault::worker_ignores_cancel);
}

void Simulation::perform(Promise& promise) {
  const auto visitor = Overloaded{
      [&](const Accepted& e) {
        if (e.duplicate) return;
        ++accepted_;
        Known& task = known(sequence_of(e.id));
        require_task(task.id.low == 0, sequence_of(e.id), "is accepted twice");
        task.id = e.id;
      },
      [&](const Refused&) {},
      [&](const Dispatch& e) { dispatched(e); },
      [&](Finished& e) { finished(e); },
      [&](const AttemptEnded& e) { attempt_ended(e); },
  };
  std::visit(visitor, promise);
}

// Tasks of one client with equal priority begin in the order in which they were submitted.
void Simulation::check_order(Sequence number, const Known& task) {
  if (task.attempts_ended > 0 || task.was_returned || task.wishes) return;
  Sequence& last = order_[{task.pool, task.priority, task.uid}];
  require_task(last < number, number, "begins after a later one of the same client and priority");
  last = number;
}

void Simulation::dispatched(const Dispatch& promise) {
  Known& task = known(promise.task);
  require_task(task.id.low != 0 && !task.finished, promise.task, "is sent and is none");
  require_task(!task.cancelled, promise.task, "is sent after it was cancelled");
  require_task(!task.on, promise.task, "runs already");
  check_order(promise.task, task);
  judge_start(promise.task, task);
  task.on = promise.worker;
  gone_.clear();  // the schedule comes after all events
  Worker& to = receiver(promise.worker);
  require_task(to.hello && !to.told_to_stop && !to.killed && !to.closed, promise.task,
               "is sent to a worker that leaves");
  const Task* found = core_.state().tasks.find(promise.task);
  require_task(found && found->attempt == task.attempts_ended + 1, promise.task, "has a gap in its attempts");
  tell(to, {.frame = to_worker::task, .tasks = {promise.task}, .attempt = task.attempts_ended + 1});
}

void Simulation::finished(Finished& promise) {
  const Sequence number = promise.task.sequence();
  const TaskState state = promise.task.state;
  Known& task = known(number);
  require_task(task.id == promise.task.id && !task.finished, number, "ends twice");
  ++finished_;
  judge_end(promise, task);
  task.finished = true;
  task.attempts_ended = promise.task.attempt;
  leave_attempt(task);
  tell_children(number, state == TaskState::succeeded);
  leave_groups(number, task);
  --user_tasks_[{task.pool, task.uid}];
  require_task(!task.cancelled || state == TaskState::cancelled, number,
               "was cancelled and is not CANCELLED");
  const bool doomed = task.wishes && task.wishes->doomed;
  require_task(task.cancelled || stopping_ || doomed || state != TaskState::cancelled, number,
               "is CANCELLED by nobody");
  require_task(state != TaskState::succeeded || task.succeeded, number, "SUCCEEDED by nobody's word");
  const bool over = task.wishes && now_ >= task.wishes->deadline_at;
  require_task(promise.kind != OutcomeKind::worker_lost || stopping_ || over ||
                   promise.task.crashes == promise.task.crash_attempts_max,
               number, "had crash attempts left");
  // The store keeps it, unless its key was given up in this very turn, which happens when the store lets go.
  const auto key = promise.task.key ? keys_.find(*promise.task.key) : keys_.end();
  const bool kept = !promise.task.key || (key != keys_.end() && key->second.id == promise.task.id);
  if (kept && state != TaskState::succeeded && ended_.size() < 20)
    ended_.emplace(number, std::move(promise.task));
}

void Simulation::attempt_ended(const AttemptEnded& promise) {
  Known& task = known(promise.task);
  require_task(task.on.has_value() && !task.finished, promise.task, "ends an attempt that it does not have");
  require_task(promise.attempt == task.attempts_ended + 1, promise.task, "ends an attempt out of order");
  if (promise.kind == OutcomeKind::unspecified) {
    task.was_returned = true;
  } else {
    ++task.attempts_ended;
    judge_repeat(promise, task);
  }
  leave_attempt(task);
}

std::size_t Simulation::count_processes() const {
  const auto counts = [&](PoolIndex pool) { return counted(core_.state().pools[pool]); };
  return static_cast<std::size_t>(
      std::ranges::count_if(workers_, [&](const auto& worker) { return counts(worker.first.first); }) +
      std::ranges::count_if(starting_, [&](const Place& place) { return counts(place.first); }));
}

void Simulation::check_idle_workers() {
  for (const Pool& pool : core_.state().pools) {
    if (pool.paused || stopping_ || pool.queue.empty()) continue;
    if (pool.settings.rate && pool.rate_timer_armed) continue;  // which may be late
    for (const Slot& slot : pool.slots)
      require(slot.state != WorkerState::idle, [&] {
        return "task " + std::to_string(pool.queue.front()->sequence()) + " waits while a worker of " +
               pool.settings.name + " idles";
      });
  }
}

std::uint32_t Simulation::workers_at_rest(const Pool& pool) const {
  return pool.removed || stopping_ ? 0 : std::clamp(pool.settings.spare, pool.min, pool.size);
}

void Simulation::check_rest() {
  require(accepted_ == finished_, [&] {
    return "accepted " + std::to_string(accepted_) + ", finished " + std::to_string(finished_);
  });
  require(core_.state().tasks.size() == 0, "tasks are left");
  std::uint32_t all = 0;
  for (const Pool& pool : core_.state().pools) all += counted(pool) ? workers_at_rest(pool) : 0;
  const bool tight = workers_max_ > 0 && all > workers_max_;
  for (const Pool& pool : core_.state().pools) {
    const std::uint32_t needed = workers_at_rest(pool);
    // Where all pools together want more than they may have, some have less.
    const std::uint32_t expected = tight && counted(pool) ? ready_workers(pool) : needed;
    require(expected <= needed, "a pool has more workers than it should have");
    const auto name = [&](const char* what) { return [&pool, what] { return pool.settings.name + what; }; };
    require(ready_workers(pool) == expected, name(" has not the workers it should have"));
    require(live_processes(pool) == expected, name(" has processes that it should not have"));
    require(stopping_ || !pool.throttled(), name(" is throttled for ever"));
    require(!pool.recycling || expected == 0 || tight, name(" recycles for ever"));
  }
}

}  // namespace poold::sim
