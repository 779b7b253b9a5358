// When a task may run: where one that does not run stands, and what moves it on.
//
// A task that is held, has open parents or is not due WAITS in its pool's list; everything else is queued,
// and parked from there if a limit has no tokens for it (limit.cpp).
#include <algorithm>
#include <utility>

#include "common/invariant.hpp"
#include "daemon/core/handlers.hpp"

namespace poold::core {
namespace {

bool never_started(const Task& task) { return task.attempt == task.options->attempts_before; }

bool must_wait(const TaskOptions& options, Time now) {
  return options.held || !options.parents.empty() || !options.after_group.empty() || now < options.not_before;
}

// The next time at which something about this task is to be decided.
Time next_due(const Task& task) {
  const TaskOptions& options = *task.options;
  if (task.state == TaskState::running) {
    if (asked_to_end(task)) return Time::max();
    const Time end = options.timeout > Duration{} ? task.started_at + options.timeout : Time::max();
    return std::min(end, options.deadline_at);
  }
  Time due = options.deadline_at;
  if (never_started(task)) due = std::min(due, options.expires_at);
  const bool for_time = task.state == TaskState::waiting && !options.parked_at && !options.held &&
                        options.parents.empty() && options.after_group.empty();
  return for_time ? std::min(due, options.not_before) : due;
}

void ring_task(State& state, Task& task, Time now, Step& step) {
  TaskOptions& options = *task.options;
  if (task.state == TaskState::running) {
    options.timing_out = true;
    const WorkerRef worker{task.pool, task.slot, task.generation};
    step.now.push_back(CancelAttempt{worker, task.sequence(), task.attempt, true, grace_of(state, task)});
    arm_cancel_overdue(state, task, now);
    return arm_task_timer(state, task);
  }
  if (give_up_if_late(state, task, now, step)) return;
  displace(state, task, now);
  place(state, task, now);
}

// One of the task's parents has ended.
void parent_ended(State& state, Task& task, Sequence parent, bool succeeded, Time now, Step& step) {
  TaskOptions& options = *task.options;
  const auto at = std::ranges::find(options.parents, parent, &Parent::task);
  if (at == options.parents.end()) return;
  const bool well = succeeded || at->however || !options.cancel_with_parent;
  options.parents.erase(at);
  displace(state, task, now);
  if (!well) return finish_cancelled(state, task, now, step);
  place(state, task, now);
  save(state, task, step);
}

}  // namespace

bool give_up_if_late(State& state, Task& task, Time now, Step& step) {
  const bool over = now >= task.options->deadline_at;
  if (!over && !(never_started(task) && now >= task.options->expires_at)) return false;
  displace(state, task, now);
  finish(state, task, TaskState::failed, over ? OutcomeKind::timed_out : OutcomeKind::expired, {}, now, step);
  return true;
}

void arm_task_timer(State& state, Task& task) { state.task_timers.set(task, next_due(task)); }

void place(State& state, Task& task, Time now) {
  Pool& pool = state.pools[task.pool];
  mark_dirty(state, task.pool);
  const TaskState before = task.state;
  if (task.options && must_wait(*task.options, now)) {
    task.state = TaskState::waiting;
    pool.waiting.push_back(task);
  } else {
    task.state = TaskState::queued;
    task.queued_at = now;
    pool.queue.push_back(task);
  }
  if (!task.options) return;
  count_in_group(task, before);
  arm_task_timer(state, task);
}

void displace(State& state, Task& task, Time now) {
  Pool& pool = state.pools[task.pool];
  if (pool.removed) mark_attend(state, task.pool);  // its last task may go
  mark_dirty(state, task.pool);                     // it may need fewer workers
  if (task.state == TaskState::queued) {
    pool.queue.remove(task);
    if (task.options) withdraw_offer(state, task, now);
  } else if (task.options->parked_at) {
    leave_parking(state, task, now);
  } else {
    pool.waiting.remove(task);
  }
}

void begin_options(State& state, Task& task, Time now) {
  TaskOptions& options = *task.options;
  if (options.time_to_live > Duration{}) options.expires_at = now + options.time_to_live;
  if (options.deadline > Duration{}) options.deadline_at = now + options.deadline;
  join_others(state, task);
}

void join_others(State& state, Task& task) {
  enter_limits(state, task);
  for (const Parent& parent : task.options->parents) {
    if (!parent.succeeded) state.children[parent.task].push_back(task.sequence());
  }
}

void settle_parents(State& state, Task& task, Time now, Step& step) {
  // A copy: each that has ended leaves the list, and the last may take the task along.
  const std::vector<Parent> parents = task.options->parents;
  const Sequence number = task.sequence();
  for (const Parent& parent : parents) {
    Task* child = state.tasks.find(number);
    if (child && parent.succeeded) parent_ended(state, *child, parent.task, *parent.succeeded, now, step);
  }
}

void end_options(State& state, Task& task, TaskState final_state) {
  task.options->timing_out = false;
  state.task_timers.set(task, Time::max());
  leave_limits(state, task);
  leave_awaited_group(state, task);
  leave_group(state, task, final_state);
}

void settle_ended_parents(State& state, Time now, Step& step) {
  while (!state.ended_parents.empty()) {
    const auto [parent, succeeded] = state.ended_parents.back();
    state.ended_parents.pop_back();
    const auto at = state.children.find(parent);
    if (at == state.children.end()) continue;
    const std::vector<Sequence> children = std::move(at->second);
    state.children.erase(at);
    for (const Sequence child : children) {
      Task* task = state.tasks.find(child);
      if (task && task->options) parent_ended(state, *task, parent, succeeded, now, step);
    }
  }
}

void ring_task_timers(State& state, Time now, Step& step) {
  while (state.task_timers.next() <= now) ring_task(state, state.task_timers.first(), now, step);
}

void on_hold(State& state, const Hold& event, Time now, Step& step) {
  Task* task = state.tasks.find(event.task);
  if (!task || task->state == TaskState::running) return;
  if (!task->options) task->options = std::make_unique<TaskOptions>();
  if (task->options->held) return;
  displace(state, *task, now);
  task->options->held = true;
  place(state, *task, now);
  save(state, *task, step);
}

void on_release(State& state, const Release& event, Time now, Step& step) {
  Task* task = state.tasks.find(event.task);
  if (!task || !task->options || !task->options->held) return;
  displace(state, *task, now);
  task->options->held = false;
  place(state, *task, now);
  save(state, *task, step);
}

std::optional<Refusal> refusal_of_retry(const State& state, const Task& task) {
  const Pool& pool = state.pools[task.pool];
  return refusal_of_submission(state, pool, task.uid);
}

void on_retry(State& state, Retry&& event, Time now, Step& step) {
  invariant(event.task.state == TaskState::failed || event.task.state == TaskState::cancelled,
            "only a task that ended badly is tried again");
  Task& task = state.tasks.put_back(std::move(event.task));
  count_user_task(state, task);
  if (!task.options) task.options = std::make_unique<TaskOptions>();
  TaskOptions& options = *task.options;
  options.attempts_before = task.attempt;
  options.not_before = {};
  options.parents.clear();
  options.after_group.clear();
  options.held = false;
  return_to_group(state, task);
  task.failures = task.crashes = task.uncharged = 0;
  task.cancelling = task.interrupted = task.unsaved = task.watched = task.has_log = task.returning = false;
  task.client = task.tag = 0;
  begin_options(state, task, now);
  place(state, task, now);
  save(state, task, step);
}

}  // namespace poold::core
