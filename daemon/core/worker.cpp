// Processes: how they come, fall silent and go, and when a pool waits before it tries another.
#include <algorithm>
#include <utility>

#include "common/invariant.hpp"
#include "daemon/core/handlers.hpp"

namespace poold::core {
namespace {

constexpr Duration throttle_min = std::chrono::milliseconds(100);
constexpr Duration throttle_max = std::chrono::seconds(30);
// A worker that ends by itself this soon after its start, without having finished a task, has not worked: starting the next at once would
// be a hot loop.
constexpr Duration lifetime_min = std::chrono::seconds(1);
// How long a worker may live on after it closed its result pipe.
constexpr Duration closed_pipe_patience = std::chrono::seconds(1);
constexpr int sigkill = 9, sigterm = 15;

Duration throttle_delay(std::uint32_t failures) {
  invariant(failures > 0, "a throttle has a reason");
  constexpr std::uint32_t doublings_max = 9;  // 100 ms * 2^9 is above the maximum
  return std::min(throttle_max, throttle_min * (std::int64_t{1} << std::min(failures - 1, doublings_max)));
}

void throttle(State& state, PoolIndex index, StartFailure&& failure, Time now, Step& step) {
  Pool& pool = state.pools[index];
  pool.start_failure = std::move(failure);
  // Slots that were tried together fail together: one failure.
  if (pool.throttled() && now < pool.throttled_until) return;
  ++pool.start_failures;
  const Duration delay = throttle_delay(pool.start_failures);
  pool.throttled_until = now + delay;
  state.timers.push({pool.throttled_until, TimerKind::throttle_ends, {index, 0, 0}});
  step.now.push_back(PoolThrottled{index, delay});
}

// Ended before it was of any use, and not because somebody killed it.
bool failed_to_start(const Slot& slot, const WorkerExited& event, Time now) {
  if (!slot.hello) return true;
  const bool killed = event.signaled && (event.code == sigkill || event.code == sigterm);
  return !killed && slot.held.empty() && slot.finished == 0 && now - slot.started_at < lifetime_min;
}

void trim_removed_slots(Pool& pool) {
  while (!pool.slots.empty()) {
    const Slot& last = pool.slots.back();
    if (!last.removed || last.state != WorkerState::vacant || last.start_requested) return;
    pool.slots.pop_back();
  }
}

}  // namespace

void set_worker_state(State& state, WorkerRef worker, WorkerState next) {
  Pool& pool = state.pools[worker.pool];
  Slot& slot = pool.slots[worker.slot];
  slot.state = next;
  if (next == WorkerState::idle && !std::exchange(slot.in_idle, true)) pool.idle.push_back(worker.slot);
  const bool ready = next == WorkerState::idle || next == WorkerState::busy;
  if (!ready || pool.recycling || pool.removed) pool.attend = true;
  mark_dirty(state, worker.pool);
}

void on_started(State& state, const WorkerStarted& event, Time now, Step& step) {
  const auto [index, number, generation] = event.worker;
  if (index >= state.pools.size() || number >= state.pools[index].slots.size()) return;
  Pool& pool = state.pools[index];
  Slot& slot = pool.slots[number];
  invariant(slot.start_requested && slot.state == WorkerState::vacant, "a worker starts where one was asked for");
  Slot fresh;
  fresh.in_idle = slot.in_idle;
  fresh.removed = slot.removed;
  fresh.outdated = slot.outdated;
  slot = fresh;
  slot.generation = generation;
  slot.pid = event.pid;
  slot.started_at = now;
  set_worker_state(state, event.worker, WorkerState::starting);
  if (state.stopping || slot.removed) return condemn(state, event.worker, "it is not needed any more", step);
  state.timers.push({now + pool.settings.start_timeout, TimerKind::start_overdue, event.worker});
}

void on_start_failed(State& state, WorkerStartFailed&& event, Time now, Step& step) {
  if (event.pool >= state.pools.size() || event.slot >= state.pools[event.pool].slots.size()) return;
  Pool& pool = state.pools[event.pool];
  pool.slots[event.slot].start_requested = false;
  trim_removed_slots(pool);
  mark_attend(state, event.pool);
  throttle(state, event.pool, std::move(event.failure), now, step);
}

void on_hello(State& state, const WorkerHello& event, Step& step) {
  Slot* slot = find_slot(state, event.worker);
  if (!slot) return;
  if (slot->hello) return condemn(state, event.worker, "it said hello twice", step);
  slot->hello = true;
  if (slot->state != WorkerState::starting) return;
  Pool& pool = state.pools[event.worker.pool];
  pool.was_ready = true;
  if (pool.throttled()) {
    pool.start_failures = 0;
    step.now.push_back(PoolHealed{event.worker.pool});
  }
  pool.start_failure = {};
  set_worker_state(state, event.worker, WorkerState::idle);
}

void on_exited(State& state, const WorkerExited& event, Time now, Step& step) {
  Slot* slot = find_slot(state, event.worker);
  if (!slot) return;
  Pool& pool = state.pools[event.worker.pool];
  const bool asked_for = slot->state == WorkerState::retiring || slot->state == WorkerState::stopping;
  if (!asked_for) ++pool.counters.workers_lost;
  if ((!asked_for || !slot->hello) && !slot->removed && !state.stopping && failed_to_start(*slot, event, now)) {
    StartFailure failure{0, {}, slot->hello ? "ended right after its start" : "ended before its hello"};
    failure.message += event.signaled ? ", by signal " : ", with exit code ";
    failure.message += std::to_string(event.code);
    throttle(state, event.worker.pool, std::move(failure), now, step);
  }
  end_attempts_of_lost_worker(state, event.worker, event.signaled, event.code, now, step);
  slot->outdated = false;
  slot->return_pending = slot->watch_armed = false;
  slot->pid = 0;
  set_worker_state(state, event.worker, WorkerState::vacant);
  trim_removed_slots(pool);
}

void on_broken(State& state, WorkerBroken&& event, Time now, Step& step) {
  Slot* slot = find_slot(state, event.worker);
  if (!slot || slot->state == WorkerState::stopping) return;
  if (!event.only_closed) return condemn(state, event.worker, std::move(event.reason), step);
  state.timers.push({now + closed_pipe_patience, TimerKind::exit_overdue, event.worker});
}

void condemn(State& state, WorkerRef worker, std::string reason, Step& step) {
  set_worker_state(state, worker, WorkerState::stopping);
  step.now.push_back(WorkerCondemned{worker, std::move(reason)});
  step.now.push_back(SignalWorker{worker, sigkill});
}

void retire(State& state, WorkerRef worker, Time now, Step& step) {
  const Slot& slot = state.pools[worker.pool].slots[worker.slot];
  invariant(slot.state == WorkerState::idle || slot.state == WorkerState::busy, "only a ready worker retires");
  step.now.push_back(StopWorker{worker});
  if (slot.held.empty())
    state.timers.push({now + state.pools[worker.pool].settings.grace, TimerKind::exit_overdue, worker});
  set_worker_state(state, worker, WorkerState::retiring);
}

}  // namespace poold::core
