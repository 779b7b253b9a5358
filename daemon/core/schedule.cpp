// Which task goes where, and which processes come and go. Looks only at pools in which something has changed.
#include <algorithm>
#include <utility>

#include "common/invariant.hpp"
#include "daemon/core/handlers.hpp"
#include "daemon/core/sizing.hpp"
#include "daemon/core/window.hpp"

namespace poold::core {
namespace {

// The pool's rate allows no start now; it will be looked at again when it does.
bool rate_exhausted(State& state, PoolIndex index, Time now) {
  Pool& pool = state.pools[index];
  const Rate& rate = pool.settings.rate;
  if (pool.bucket.available(rate, now) > 0) return false;
  if (!std::exchange(pool.rate_timer_armed, true))
    state.timers.push({pool.bucket.when(rate, now, 1), TimerKind::pool_refills, {index, 0, 0}});
  return true;
}

// The next task that may start, its tokens taken; null if there is none. What cannot start is parked on the
// way. `behind`: it would stand behind another, which is not for all.
Task* next_task(State& state, PoolIndex index, bool behind, Time now, Step& step) {
  Pool& pool = state.pools[index];
  if (pool.settings.rate && !pool.queue.empty() && rate_exhausted(state, index, now)) return nullptr;
  while (Task* task = pool.queue.front()) {
    if (!task->options) [[likely]]
      return task;
    if (give_up_if_late(state, *task, now, step)) continue;  // its timer may be late
    if (behind && task->options->alone()) return nullptr;
    if (take_tokens(state, *task, now)) return task;
  }
  return nullptr;
}

void hand_over(State& state, PoolIndex index, std::uint32_t number, Task& task, Time now, Step& step) {
  Pool& pool = state.pools[index];
  Slot& slot = pool.slots[number];
  pool.queue.take(task);
  if (pool.settings.rate) pool.bucket.take(pool.settings.rate, now);
  if (slot.held.empty()) slot.head_since = now;
  slot.held.push_back(task);
  ++pool.running;
  ++task.attempt;
  task.state = TaskState::running;
  task.started_at = now;
  task.slot = task.last_slot = number;
  task.generation = slot.generation;
  task.last_pid = slot.pid;
  task.has_log = false;
  task.withheld = pool.settings.durable;
  if (task.options) [[unlikely]] {
    count_in_group(task, TaskState::queued);
    arm_task_timer(state, task);
  }
  if (slot.state == WorkerState::idle)
    set_worker_state(state, {index, number, slot.generation}, WorkerState::busy);
  if (slot.held.size() > 1) arm_head_watch(state, {index, number, slot.generation});
  save(state, task, step);
  step.promises.push_back(Dispatch{{index, number, slot.generation}, task.sequence()});
}

// One task for each idle worker, the most recently used first: its memory is still warm.
void fill_idle(State& state, PoolIndex index, Time now, Step& step) {
  Pool& pool = state.pools[index];
  while (!pool.queue.empty() && !pool.idle.empty()) {
    const std::uint32_t number = pool.idle.back();
    pool.idle.pop_back();
    if (number >= pool.slots.size()) continue;
    Slot& slot = pool.slots[number];
    slot.in_idle = false;
    if (slot.state != WorkerState::idle) continue;
    Task* task = next_task(state, index, false, now, step);
    if (!task) {
      slot.in_idle = true;
      return pool.idle.push_back(number);
    }
    hand_over(state, index, number, *task, now, step);
  }
}

// What is left is spread evenly, up to the window.
void send_ahead(State& state, PoolIndex index, Time now, Step& step) {
  Pool& pool = state.pools[index];
  const std::uint32_t allowed = window(pool);
  if (allowed < 2 || pool.queue.empty()) return;
  const std::uint32_t workers = std::max(1u, ready_workers(pool));
  const std::uint32_t share = std::min(allowed, (pool.queue.size() + pool.running + workers - 1) / workers);
  for (std::uint32_t number = 0; number < pool.slots.size() && !pool.queue.empty(); ++number) {
    const Slot& slot = pool.slots[number];
    const bool open = may_send_ahead(slot, now);
    const std::uint64_t most = pool.settings.tasks_per_worker;
    const std::uint64_t left = most > 0 ? most - std::min(most, slot.finished) : share;
    while (open && slot.held.size() < std::min<std::uint64_t>(share, left)) {
      Task* task = next_task(state, index, true, now, step);
      if (!task) return;
      hand_over(state, index, number, *task, now, step);
    }
  }
}

// May a process be started in this pool now?
bool may_start(const Pool& pool, Time now) {
  if (!pool.throttled()) return true;
  // One at a time tries whether it works again.
  const bool trying = std::ranges::any_of(pool.slots, [](const Slot& slot) {
    return slot.start_requested || slot.state == WorkerState::starting;
  });
  return !trying && now >= pool.throttled_until;
}

void fill_vacant(State& state, PoolIndex index, Time now, Step& step) {
  Pool& pool = state.pools[index];
  for (std::uint32_t number = 0; number < pool.slots.size(); ++number) {
    Slot& slot = pool.slots[number];
    if (slot.state != WorkerState::vacant || slot.start_requested || !wanted(state, pool, slot)) continue;
    if (!may_start(pool, now) || !find_room(state, index, now)) return;
    slot.start_requested = true;
    step.now.push_back(StartWorker{index, number});
  }
}

// A throttle holds back starts; if there is nothing left to start, because the slot that failed was given up,
// it is over.
void end_idle_throttle(State& state, PoolIndex index, Step& step) {
  const Pool& pool = state.pools[index];
  if (!pool.throttled() || state.stopping) return;
  const auto has_its_worker = [&](const Slot& slot) {
    const bool filled = slot.state == WorkerState::idle || slot.state == WorkerState::busy ||
                        slot.state == WorkerState::retiring;
    return filled || !wanted(state, pool, slot);
  };
  if (std::ranges::all_of(pool.slots, has_its_worker)) heal(state, index, step);
}

void retire_unwanted(State& state, PoolIndex index, Time now, Step& step) {
  Pool& pool = state.pools[index];
  for (std::uint32_t number = 0; number < pool.slots.size(); ++number) {
    const Slot& slot = pool.slots[number];
    if (wanted(state, pool, slot)) continue;
    const WorkerRef worker{index, number, slot.generation};
    if (slot.state == WorkerState::starting && !slot.adopted)
      condemn(state, worker, StopReason::our_wish, "it is not needed any more", step);
    if (slot.state == WorkerState::idle || slot.state == WorkerState::busy) retire(state, worker, now, step);
  }
}

bool everything_gone(const State& state) {
  return std::ranges::all_of(state.pools, [](const Pool& pool) {
    // What waits in a durable pool waits for the next start.
    const bool settled = pool.running == 0 && (pool.settings.durable || pool.pending() == 0);
    return settled && live_processes(pool) == 0;
  });
}

}  // namespace

bool wanted(const State& state, const Pool& pool, const Slot& slot) {
  if (slot.removed || slot.closed || state.stopping) return false;
  return !pool.removed || pool.pending() > 0 || pool.running > 0;
}

void schedule(State& state, Time now, Step& step) {
  while (!state.dirty.empty()) {
    const PoolIndex index = state.dirty.back();
    state.dirty.pop_back();
    Pool& pool = state.pools[index];
    pool.dirty = false;
    // Processes first: workers are told to go at once, but get tasks after the commit, and none may get one
    // after it was told to go.
    if (std::exchange(pool.attend, false)) {
      if (elastic(pool)) close_idle_slots(state, index, now);
      if (pool.recycling && !state.stopping) recycle(state, index, now, step);
      retire_unwanted(state, index, now, step);
      fill_vacant(state, index, now, step);
      end_idle_throttle(state, index, step);
    }
    if (!pool.paused && !state.stopping && !pool.queue.empty()) {
      fill_idle(state, index, now, step);
      send_ahead(state, index, now, step);
      settle_children(state, now, step);
    }
    // No second look at those that leave: some have just been promised a task.
    if (!elastic(pool) || state.stopping) continue;
    if (open_slots(pool)) fill_vacant(state, index, now, step);
    watch_idle_slots(state, index, now);
  }
  drop_stale_timers(state);
  if (state.stopping && !state.stop_complete && everything_gone(state)) {
    state.stop_complete = true;
    step.now.push_back(StopComplete{});
  }
}

}  // namespace poold::core
