// Tasks in, and what their clients ask of them afterwards.
#include <utility>

#include "common/invariant.hpp"
#include "daemon/core/handlers.hpp"

namespace poold::core {
namespace {

// A worker library that ends its own tasks gets this much longer than the grace before its worker is killed.
constexpr Duration own_grace_margin = std::chrono::seconds(5);

void refuse(Pool& pool, const Submit& event, Refusal refusal, Step& step) {
  ++pool.counters.refused;
  step.promises.push_back(Refused{event.client, event.tag, refusal, event.pool});
}

}  // namespace

std::optional<Refusal> refusal_of_submission(const State& state, const Pool& pool, std::uint32_t uid) {
  if (state.stopping) return Refusal::stopping;
  if (pool.removed) return Refusal::pool_removed;
  if (pool.draining) return Refusal::pool_draining;
  if (pool.pending() >= pool.settings.queue_size) return Refusal::queue_full;
  if (pool.settings.user_tasks_max == 0) return std::nullopt;
  const auto count = pool.user_tasks.find(uid);
  const bool full = count != pool.user_tasks.end() && count->second >= pool.settings.user_tasks_max;
  return full ? std::optional(Refusal::user_full) : std::nullopt;
}

bool is_full(const State& state, const Pool& pool, std::uint32_t uid) {
  const auto reason = refusal_of_submission(state, pool, uid);
  return reason == Refusal::queue_full || reason == Refusal::user_full;
}

void count_user_task(State& state, const Task& task) {
  Pool& pool = state.pools[task.pool];
  if (pool.settings.user_tasks_max > 0) ++pool.user_tasks[task.uid];
}

void on_submit(State& state, Submit&& event, Time now, Step& step) {
  invariant(event.pool < state.pools.size(), "a submission names a pool of ours");
  Pool& pool = state.pools[event.pool];
  if (event.key) {
    // Before everything else: a repeated submission must find its task also where a new one would be refused.
    if (const auto known = state.keys.find(*event.key); known != state.keys.end()) {
      if (known->second.digest != event.digest) return refuse(pool, event, Refusal::key_reused, step);
      step.promises.push_back(Accepted{known->second.id, event.client, event.tag, event.pool, true});
      return;
    }
  }
  if (const auto reason = refusal_of_submission(state, pool, event.uid))
    return refuse(pool, event, *reason, step);
  if (event.options) [[unlikely]]
    if (const auto reason = refusal_by_group(state, *event.options, event.uid))
      return refuse(pool, event, *reason, step);

  Task& task = state.tasks.insert(event.id);
  task.submitted_at = now;
  task.spec = std::move(event.spec);
  task.client = event.client;
  task.tag = event.tag;
  task.pool = event.pool;
  task.priority = event.priority;
  task.uid = event.uid;
  task.attempts_max = event.attempts_max;
  task.crash_attempts_max =
      event.crash_attempts_max ? event.crash_attempts_max : pool.settings.crash_attempts;
  if (event.key) {
    state.keys.emplace(*event.key, KeyEntry{event.id, event.digest});
    task.key = std::move(event.key);
  }
  task.options = std::move(event.options);
  count_user_task(state, task);
  if (task.options) [[unlikely]] {
    begin_options(state, task, now);
    join_groups(state, task);
  }
  place(state, task, now);
  save(state, task, step);
  step.promises.emplace_back(Accepted{event.id, event.client, event.tag, event.pool, false});
  if (task.options) [[unlikely]]
    settle_parents(state, task, now, step);
}

void on_cancel(State& state, const Cancel& event, Time now, Step& step) {
  Task* task = state.tasks.find(event.task);
  if (!task || task->cancelling) return;
  if (task->state != TaskState::running) {
    displace(state, *task, now);
    finish_cancelled(state, *task, now, step);
    return;
  }
  task->cancelling = true;
  save(state, *task, step);
  const WorkerRef worker{task->pool, task->slot, task->generation};
  step.now.push_back(CancelAttempt{worker, event.task, task->attempt, false, grace_of(state, *task)});
  if (task->options) arm_task_timer(state, *task);
  arm_cancel_overdue(state, *task, now);
}

void interrupt(State& state, Task& task, Time now, Step& step) {
  if (task.cancelling || task.interrupted || timing_out(task)) return;
  task.interrupted = true;
  const WorkerRef worker{task.pool, task.slot, task.generation};
  step.now.push_back(CancelAttempt{worker, task.sequence(), task.attempt, false, grace_of(state, task)});
  arm_cancel_overdue(state, task, now);
}

Duration grace_of(const State& state, const Task& task) {
  const Duration usual = state.pools[task.pool].settings.grace;
  return task.options ? task.options->grace.value_or(usual) : usual;
}

Duration cancel_patience(const State& state, const Task& task) {
  const bool itself = state.pools[task.pool].settings.ends_own_tasks;
  return grace_of(state, task) + (itself ? own_grace_margin : Duration{});
}

void arm_cancel_overdue(State& state, const Task& task, Time now) {
  invariant(asked_to_end(task) && task.state == TaskState::running,
            "an end that may be overdue is of a running task");
  const WorkerRef worker{task.pool, task.slot, task.generation};
  const Time due = now + cancel_patience(state, task);
  state.timers.push({due, TimerKind::cancel_overdue, worker, task.sequence(), task.attempt});
}

void on_signal(State& state, const SignalTask& event, Step& step) {
  const Task* task = state.tasks.find(event.task);
  if (!task || task->state != TaskState::running) return;
  step.now.push_back(
      SignalAttempt{{task->pool, task->slot, task->generation}, event.task, task->attempt, event.signal});
}

void on_forget_key(State& state, const ForgetKey& event) {
  const auto known = state.keys.find(event.key);
  if (known != state.keys.end() && known->second.id == event.id) state.keys.erase(known);
}

}  // namespace poold::core
