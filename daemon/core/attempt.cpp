// How attempts end, and what becomes of their tasks.
#include <algorithm>
#include <utility>

#include "common/invariant.hpp"
#include "daemon/core/handlers.hpp"
#include "daemon/core/sizing.hpp"
#include "daemon/core/window.hpp"

namespace poold::core {
namespace {

// An estimate is renewed after so many tasks, or sooner when this much time has been measured.
constexpr std::uint32_t sample_count = 16;
constexpr Duration sample_time = std::chrono::milliseconds(1);

// The task that this frame is about, if the frame is about a living attempt of that very worker.
Task* find_attempt(State& state, WorkerRef worker, Sequence sequence, std::uint32_t attempt) {
  Task* task = state.tasks.find(sequence);
  if (!task || task->state != TaskState::running) return nullptr;
  const bool same = task->pool == worker.pool && task->slot == worker.slot &&
                    task->generation == worker.generation && task->attempt == attempt;
  return same ? task : nullptr;
}

// What a worker may report. The others are decided here.
bool reportable(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::exited:
    case OutcomeKind::returned:
    case OutcomeKind::raised:
    case OutcomeKind::signaled:
    case OutcomeKind::timed_out:
    case OutcomeKind::out_of_memory:
    case OutcomeKind::cancelled:
    case OutcomeKind::rejected:
      return true;
    case OutcomeKind::unspecified:
    case OutcomeKind::worker_lost:
    case OutcomeKind::expired:
      return false;
  }
  return false;
}

void measure(Pool& pool, Slot& slot, Time now) {
  slot.measured += now - slot.head_since;
  ++slot.measured_count;
  if (slot.measured_count < sample_count && slot.measured < sample_time) return;
  const Duration sample = std::min(slot.measured / slot.measured_count, run_time_max);
  // Down in larger steps than up: one long task among thousands of short ones should not cost hundreds of
  // them their place ahead. Not at once: tasks whose results come in one batch seem to take no time but the
  // first.
  pool.run_time = sample < pool.run_time ? std::max(sample, pool.run_time / 4) : (pool.run_time + sample) / 2;
  slot.measured = {};
  slot.measured_count = 0;
}

void become_idle(State& state, Slot& slot, WorkerRef worker, Time now) {
  if (!slot.held.empty()) return;
  if (slot.state == WorkerState::busy) set_worker_state(state, worker, WorkerState::idle);
  if (slot.state == WorkerState::retiring) arm_exit_overdue(state, worker, now);
}

// It was handed no more than it may run (schedule.cpp), so that it holds nothing when it is told to go.
void retire_if_used_up(State& state, const Slot& slot, WorkerRef worker, Time now, Step& step) {
  const std::uint32_t most = state.pools[worker.pool].settings.tasks_per_worker;
  if (most > 0 && slot.finished >= most && slot.state == WorkerState::idle) retire(state, worker, now, step);
}

// Somebody will run it again: this daemon, or the next.
bool may_go_on(const State& state, const Task& task) {
  return !state.stopping || state.pools[task.pool].settings.durable;
}

bool past_deadline(const Task& task, Time now) { return task.options && now >= task.options->deadline_at; }

// An earlier engine wrote the next attempt down and died before it sent it: the worker, which owes the result
// of the one before, named the task for that, and only once. What this engine handed out has stood in its
// queue.
void on_stale_result(State& state, const WorkerResult& event, Slot& slot, Time now, Step& step) {
  Task* held = state.tasks.find(event.task);
  const bool unsent = held && held->queued_at == Time{} && event.attempt < held->attempt &&
                      find_attempt(state, event.worker, event.task, held->attempt) == held;
  if (!unsent) return;
  take_back(state, state.pools[event.worker.pool], slot, *held, nullptr, now, step);
  become_idle(state, slot, event.worker, now);
}

}  // namespace

void release(State& state, Slot& slot, Task& task, Time now) {
  Pool& pool = state.pools[task.pool];
  const bool was_first = slot.held.front() == &task;
  slot.held.remove(task);
  if (was_first) {
    slot.head_since = now;
    // A cancelled task behind another cannot have ended; from now on it can.
    if (const Task* next = slot.held.front(); next && asked_to_end(*next))
      arm_cancel_overdue(state, *next, now);
  }
  --pool.running;
  task.slot = no_slot;
  task.returning = false;
  if (task.options) [[unlikely]]
    give_tokens_back(state, task, now);
  mark_dirty(state, task.pool);
}

void lose_attempt(State& state, Task& task, bool signaled, int code, Time now, Step& step) {
  if (task.cancelling) {
    finish_cancelled(state, task, now, step);
  } else if (timing_out(task)) {
    // We killed it, because its time was over: that is no crash.
    return fail_attempt(state, task, OutcomeKind::timed_out, 0, {}, now, step);
  } else if (task.interrupted) {
    ++task.uncharged;
    return repeat_attempt(state, task, OutcomeKind::cancelled, now, step);
  } else if (++task.crashes < task.crash_attempts_max && may_go_on(state, task) &&
             !past_deadline(task, now)) {
    return repeat_attempt(state, task, OutcomeKind::worker_lost, now, step);
  } else {
    finish(state, task, TaskState::failed, OutcomeKind::worker_lost, {}, now, step);
  }
  auto& finished = std::get<Finished>(step.promises.back());
  finished.worker_signaled = signaled;
  finished.worker_code = code;
}

bool asked_to_end(const Task& task) { return task.cancelling || task.interrupted || timing_out(task); }

bool timing_out(const Task& task) { return task.options && task.options->timing_out; }

void finish(State& state, Task& task, TaskState final_state, OutcomeKind kind, std::string body, Time now,
            Step& step) {
  invariant(task.previous == nullptr && task.next == nullptr && task.slot == no_slot,
            "a finished task is in no list");
  if (task.options) [[unlikely]]
    end_options(state, task, final_state);
  if (!state.children.empty()) [[unlikely]]
    state.ended_parents.emplace_back(task.sequence(), final_state == TaskState::succeeded);
  Pool& pool = state.pools[task.pool];
  if (pool.settings.user_tasks_max > 0) --pool.user_tasks[task.uid];
  PoolCounters& counters = pool.counters;
  ++(final_state == TaskState::succeeded ? counters.succeeded
     : final_state == TaskState::failed  ? counters.failed
                                         : counters.cancelled);
  task.state = final_state;
  if (pool.settings.one_task && !std::exchange(pool.removed, true)) mark_attend(state, task.pool);
  step.promises.emplace_back(Finished{state.tasks.take(task), kind, std::move(body), 0, false, now});
}

void finish_cancelled(State& state, Task& task, Time now, Step& step) {
  finish(state, task, TaskState::cancelled, OutcomeKind::cancelled, {}, now, step);
}

void on_result(State& state, WorkerResult&& event, Time now, Step& step) {
  if (event.worker.pool >= state.pools.size()) return;
  Pool& pool = state.pools[event.worker.pool];
  Slot* slot = find_slot(state, event.worker);
  Task* task = slot ? find_attempt(state, event.worker, event.task, event.attempt) : nullptr;
  if (!task) [[unlikely]] {
    ++pool.counters.stale;
    if (slot) on_stale_result(state, event, *slot, now, step);
    return;
  }
  if (!reportable(event.kind)) {
    return condemn(state, event.worker, StopReason::its_fault,
                   "it reported an outcome that no worker can know", step);
  }
  if (slot->held.front() == task) measure(pool, *slot, now);
  if (slot->finished++ == 0) pool.failures_before_hello = 0;
  release(state, *slot, *task, now);
  become_idle(state, *slot, event.worker, now);
  if (slot->finished >= slot->tasks_max) wear_out(state, event.worker);
  retire_if_used_up(state, *slot, event.worker, now, step);

  const bool succeeded =
      event.kind == OutcomeKind::returned || (event.kind == OutcomeKind::exited && event.exit_code == 0);
  if (task->cancelling)
    return finish(state, *task, TaskState::cancelled, OutcomeKind::cancelled, std::move(event.body), now,
                  step);
  if (timing_out(*task))
    return fail_attempt(state, *task, OutcomeKind::timed_out, 0, std::move(event.body), now, step);
  if (event.kind == OutcomeKind::cancelled) {
    // Nobody cancelled it: somebody ended the worker, which took its task along. That is the worker's death,
    // not the task's fault.
    return lose_attempt(state, *task, false, 0, now, step);
  }
  if (task->interrupted && !succeeded) {
    ++task->uncharged;
    return repeat_attempt(state, *task, OutcomeKind::cancelled, now, step);
  }
  if (succeeded)
    return finish(state, *task, TaskState::succeeded, event.kind, std::move(event.body), now, step);
  fail_attempt(state, *task, event.kind, event.exit_code, std::move(event.body), now, step);
}

Task* take_back(State& state, Pool& pool, Slot& slot, Task& task, Task* near, Time now, Step& step) {
  release(state, slot, task, now);
  const std::uint32_t attempt = task.attempt--;
  const bool never = state.stopping && !pool.settings.durable;  // nobody will ever run it
  if (task.cancelling || never) {
    finish_cancelled(state, task, now, step);
    return nullptr;
  }
  task.state = TaskState::queued;
  if (task.queued_at == Time{}) task.queued_at = std::min(now, pool.queue.oldest());
  // What other workers give back may have come before it.
  pool.queue.push_sorted(task, near);
  if (task.options) {
    count_in_group(task, TaskState::running);
    arm_task_timer(state, task);
  }
  save(state, task, step);
  step.promises.push_back(AttemptEnded{task.sequence(), attempt, OutcomeKind::unspecified, task.pool});
  return &task;
}

void on_returned(State& state, const WorkerReturned& event, Time now, Step& step) {
  Slot* slot = find_slot(state, event.worker);
  if (!slot) return;
  Pool& pool = state.pools[event.worker.pool];
  if (std::exchange(slot->return_pending, false)) judge_return(*slot, now);
  const std::uint32_t held_before = slot->held.size();
  // From the last to the first: each stands right before the one that came back before it.
  Task* near = nullptr;
  for (auto sequence = event.tasks.rbegin(); sequence != event.tasks.rend(); ++sequence) {
    Task* task = state.tasks.find(*sequence);
    if (!task || !task->returning || !find_attempt(state, event.worker, *sequence, task->attempt)) {
      ++pool.counters.stale;
      continue;
    }
    near = take_back(state, pool, *slot, *task, near, now, step);
  }
  if (slot->held.size() < held_before) become_idle(state, *slot, event.worker, now);
  mark_dirty(state, event.worker.pool);
}

void on_output(State& state, const WorkerOutput& event) {
  if (!find_slot(state, event.worker)) return;
  if (Task* task = find_attempt(state, event.worker, event.task, event.attempt))
    task->has_log = task->had_log = true;
}

void end_attempts_of_lost_worker(State& state, WorkerRef worker, bool signaled, int code, Time now,
                                 Step& step) {
  Pool& pool = state.pools[worker.pool];
  Slot& slot = pool.slots[worker.slot];
  std::vector<Task*> held;
  for (Task* task = slot.held.front(); task; task = task->next) held.push_back(task);
  if (slot.adopted) return lose_adopted(state, worker, signaled, code, now, step);
  Task* near = nullptr;
  for (std::size_t i = held.size(); i-- > 1;) near = take_back(state, pool, slot, *held[i], near, now, step);
  if (held.empty()) return;
  release(state, slot, *held.front(), now);
  lose_attempt(state, *held.front(), signaled, code, now, step);
}

}  // namespace poold::core
