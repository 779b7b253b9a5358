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

void on_submit(State& state, Submit&& event, Time now, Step& step) {
  invariant(event.pool < state.pools.size(), "a submission names a pool of ours");
  Pool& pool = state.pools[event.pool];
  if (event.key) {
    // Before everything else: a repeated submission must find its task also where a new one would be refused.
    if (const auto known = state.keys.find(*event.key); known != state.keys.end()) {
      if (known->second.digest != event.digest) return refuse(pool, event, Refusal::key_reused, step);
      step.promises.push_back(Accepted{known->second.id, event.client, event.tag, true});
      return;
    }
  }
  if (state.stopping) return refuse(pool, event, Refusal::stopping, step);
  if (pool.removed) return refuse(pool, event, Refusal::pool_removed, step);
  if (pool.draining) return refuse(pool, event, Refusal::pool_draining, step);
  if (pool.queue.size() >= pool.settings.queue_size) return refuse(pool, event, Refusal::queue_full, step);

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
  pool.queue.push_back(task);
  mark_dirty(state, event.pool);
  step.promises.push_back(Accepted{event.id, event.client, event.tag, false});
}

void on_cancel(State& state, const Cancel& event, Time now, Step& step) {
  Task* task = state.tasks.find(event.task);
  if (!task || task->cancelling) return;
  Pool& pool = state.pools[task->pool];
  if (task->state != TaskState::running) {
    pool.queue.remove(*task);
    if (pool.removed) mark_attend(state, task->pool);  // its last task may have gone
    finish_cancelled(state, *task, now, step);
    return;
  }
  task->cancelling = true;
  const WorkerRef worker{task->pool, task->slot, task->generation};
  step.now.push_back(CancelAttempt{worker, event.task, task->attempt});
  arm_cancel_overdue(state, *task, now);
}

Duration cancel_patience(const Pool& pool) {
  return pool.settings.grace + (pool.settings.ends_own_tasks ? own_grace_margin : Duration{});
}

void arm_cancel_overdue(State& state, const Task& task, Time now) {
  invariant(task.cancelling && task.state == TaskState::running,
            "a cancel that may be overdue is of a running task");
  const WorkerRef worker{task.pool, task.slot, task.generation};
  const Time due = now + cancel_patience(state.pools[task.pool]);
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
