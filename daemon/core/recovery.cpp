// What an earlier engine left: tasks that had not ended, and the keys of those that had.
//
// They come one by one, before anything is scheduled, in the order of their numbers, which is the order in
// which they were submitted.
#include <algorithm>
#include <utility>
#include <vector>

#include "common/invariant.hpp"
#include "daemon/core/handlers.hpp"
#include "daemon/core/window.hpp"

namespace poold::core {
namespace {

// The living worker to which this task had been given; null if there is none.
Slot* its_worker(State& state, const Task& task) {
  if (task.state != TaskState::running) return nullptr;
  Slot* slot = find_slot(state, {task.pool, task.last_slot, task.generation});
  // A supervisor counts generations anew when it starts: the pid tells its workers from those of an earlier
  // one.
  return slot && slot->adopted && slot->pid == task.last_pid ? slot : nullptr;
}

// A cancel may have been lost on its way.
void cancel_again(State& state, const Task& task, Time now, Step& step) {
  const WorkerRef worker{task.pool, task.slot, task.generation};
  step.now.push_back(CancelAttempt{worker, task.sequence(), task.attempt, false, grace_of(state, task)});
  arm_cancel_overdue(state, task, now);
}

// Its attempt goes on.
void resume(State& state, Task& task, Slot& slot, Time now, Step& step) {
  Pool& pool = state.pools[task.pool];
  slot.held.push_back(task);
  ++pool.running;
  task.slot = task.last_slot;
  // Now already: a worker whose supervisor has died never says hello again.
  if (task.cancelling) cancel_again(state, task, now, step);
  if (!task.options) return;
  keep_tokens(task);
  arm_task_timer(state, task);
}

// What has been asked of it stays asked.
void take_over_service(State& state, const WorkerSaidAgain& event, Slot& slot, Time now, Step& step) {
  slot.finished = event.finished;
  if (event.one_at_a_time) slot.one_at_a_time_until = Time::max();
  for (Task* task = slot.held.front(); task; task = task->next) {
    if (std::ranges::find(event.returning, task->sequence()) == event.returning.end()) continue;
    task->returning = slot.return_pending = true;
    slot.return_due = now + return_patience;
  }
  if (slot.held.size() > 1) arm_head_watch(state, event.worker);
  if (event.outdated) slot.outdated = state.pools[event.worker.pool].recycling = true;
  if (event.retiring) retire(state, event.worker, now, step);
}

}  // namespace

void on_recover(State& state, Recover&& event, Time now, Step& step) {
  invariant(event.task.pool < state.pools.size(), "what is recovered belongs to a pool");
  Task& task = state.tasks.put_back(std::move(event.task));
  if (task.key) state.keys.emplace(*task.key, KeyEntry{task.id, event.digest});
  count_user_task(state, task);
  if (task.options) {
    join_others(state, task);
    join_groups(state, task);
  }
  Slot* slot = its_worker(state, task);
  const std::uint32_t before = task.options ? task.options->attempts_before : 0;
  const std::uint32_t counted = before + task.failures + task.crashes + (slot ? 1 : 0);
  task.uncharged = task.attempt > counted ? task.attempt - counted : 0;
  if (slot) return resume(state, task, *slot, now, step);
  // Whoever cancelled it was told so; what its process would have said can make no difference.
  if (task.cancelling) return finish_cancelled(state, task, now, step);
  place(state, task, now);
  save(state, task, step);  // it does not run any more
  if (task.options) settle_parents(state, task, now, step);
}

void on_remember_key(State& state, RememberKey&& event) {
  state.keys.emplace(std::move(event.key), event.entry);
}

void on_adopted(State& state, const WorkerAdopted& event, Time now) {
  const auto [index, number, generation] = event.worker;
  if (index >= state.pools.size()) return;
  Pool& pool = state.pools[index];
  // The pool may have become smaller since: then it retires once it has said what it runs.
  while (pool.slots.size() <= number) {
    pool.slots.emplace_back();
    pool.slots.back().removed = true;
  }
  Slot& slot = pool.slots[number];
  invariant(slot.state == WorkerState::vacant, "an adopted worker comes before any other");
  slot.generation = generation;
  slot.pid = event.pid;
  slot.started_at = slot.head_since = now;
  slot.adopted = true;
  slot.closed = false;  // of a pool whose size follows the work: it leaves when it is not needed
  pool.was_ready = true;
  // No timer: however long its function runs before it answers, its attempt is neither failed nor repeated.
  set_worker_state(state, event.worker, WorkerState::starting);
}

void on_said_again(State& state, const WorkerSaidAgain& event, Time now, Step& step) {
  Slot* slot = find_slot(state, event.worker);
  if (!slot) return;
  if (!slot->adopted)
    return condemn(state, event.worker, StopReason::its_fault, "it said hello again, unasked", step);
  slot->adopted = false;
  slot->hello = true;
  if (slot->state != WorkerState::starting) return;
  // In its order, and without what never reached it.
  std::vector<Task*> missing;
  while (Task* task = slot->held.front()) {
    slot->held.remove(*task);
    missing.push_back(task);
  }
  for (const Sequence number : event.tasks) {
    Task* task = state.tasks.find(number);
    if (!task) continue;
    const auto known = std::ranges::find(missing, task);
    if (known == missing.end()) {
      // Named twice: it owes the result of the attempt before, and has this one. See on_result().
      if (task->slot == event.worker.slot && task->generation == event.worker.generation)
        task->queued_at = now;
      continue;
    }
    missing.erase(known);
    slot->held.push_back(*task);
  }
  set_worker_state(state, event.worker,
                   slot->held.empty() && missing.empty() ? WorkerState::idle : WorkerState::busy);
  slot->head_since = now;
  for (Task* task : missing) slot->held.push_back(*task);
  Task* near = nullptr;
  for (std::size_t i = missing.size(); i-- > 0;)
    near = take_back(state, state.pools[event.worker.pool], *slot, *missing[i], near, now, step);
  if (slot->held.empty() && slot->state == WorkerState::busy)
    set_worker_state(state, event.worker, WorkerState::idle);
  mark_attend(state, event.worker.pool);  // it may have been unwanted for some time
  for (const Task* task = slot->held.front(); task; task = task->next)
    if (task->cancelling) cancel_again(state, *task, now, step);
  take_over_service(state, event, *slot, now, step);
}

void lose_adopted(State& state, WorkerRef worker, bool signaled, int code, Time now, Step& step) {
  Slot& slot = state.pools[worker.pool].slots[worker.slot];
  std::vector<Task*> held;
  for (Task* task = slot.held.front(); task; task = task->next) held.push_back(task);
  // Which of several it ran nobody knows; and one that ended in peace had not heard of a new engine.
  const bool guilty = held.size() == 1 && (signaled || code != 0);
  for (Task* task : held) {
    release(state, slot, *task, now);
    if (guilty || task->cancelling) {
      lose_attempt(state, *task, signaled, code, now, step);
    } else {
      ++task->uncharged;
      repeat_attempt(state, *task, OutcomeKind::worker_lost, now, step);
    }
  }
}

}  // namespace poold::core
