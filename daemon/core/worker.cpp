// Processes: how they come, fall silent and go, and when a pool waits before it tries another.
#include <algorithm>
#include <utility>

#include "common/invariant.hpp"
#include "daemon/core/handlers.hpp"
#include "daemon/core/sizing.hpp"

namespace poold::core {
namespace {

constexpr Duration throttle_min = std::chrono::milliseconds(100);
constexpr Duration throttle_max = std::chrono::seconds(30);
// A worker that ends by itself this soon after its start, without having finished a task, has not worked:
// starting the next at once would be a hot loop.
constexpr Duration lifetime_min = std::chrono::seconds(1);
// A worker that was told to go has this long for its own goodbyes. Not the pool's grace: that is for tasks,
// and may be nothing or a day.
constexpr Duration exit_patience = std::chrono::seconds(5);
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
  if (!pool.throttled()) pool.start_failures = pool.failures_before_hello;
  ++pool.start_failures;
  const Duration delay = throttle_delay(pool.start_failures);
  pool.throttled_until = now + delay;
  state.timers.push({pool.throttled_until, TimerKind::throttle_ends, {index, 0, 0}});
  step.now.push_back(PoolThrottled{index, delay});
}

// Ended before it was of any use, and not because somebody killed it.
bool failed_to_start(const Slot& slot, const WorkerExited& event, Time now) {
  if (slot.adopted) return false;  // it had been of use to another engine
  if (!slot.hello) return true;
  const bool killed = event.signaled && (event.code == sigkill || event.code == sigterm);
  const bool by_others = killed && slot.stop_reason != StopReason::its_fault;
  return !by_others && slot.held.empty() && slot.finished == 0 && now - slot.started_at < lifetime_min;
}

}  // namespace

void heal(State& state, PoolIndex index, Step& step) {
  Pool& pool = state.pools[index];
  pool.failures_before_hello = std::exchange(pool.start_failures, 0);
  step.now.push_back(PoolHealed{index});
  mark_attend(state, index);  // empty slots have waited for this
}

void trim_removed_slots(Pool& pool) {
  while (!pool.slots.empty()) {
    const Slot& last = pool.slots.back();
    if (!last.removed || last.state != WorkerState::vacant || last.start_requested) return;
    if (last.in_idle) std::erase(pool.idle, static_cast<std::uint32_t>(pool.slots.size() - 1));
    pool.slots.pop_back();
  }
}

void set_worker_state(State& state, WorkerRef worker, WorkerState next) {
  Pool& pool = state.pools[worker.pool];
  Slot& slot = pool.slots[worker.slot];
  slot.state = next;
  if (next == WorkerState::idle && !std::exchange(slot.in_idle, true)) pool.idle.push_back(worker.slot);
  const bool ready = next == WorkerState::idle || next == WorkerState::busy;
  const bool may_idle_out = next == WorkerState::idle && elastic(pool) && !pool.idle_timer_armed;
  if (!ready || pool.recycling || pool.removed || may_idle_out) pool.attend = true;
  if (next == WorkerState::vacant || next == WorkerState::idle) offer_room(state);
  mark_dirty(state, worker.pool);
}

void on_started(State& state, const WorkerStarted& event, Time now) {
  const auto [index, number, generation] = event.worker;
  if (index >= state.pools.size() || number >= state.pools[index].slots.size()) return;
  Pool& pool = state.pools[index];
  Slot& slot = pool.slots[number];
  invariant(slot.start_requested && slot.state == WorkerState::vacant,
            "a worker starts where one was asked for");
  Slot fresh;
  fresh.in_idle = slot.in_idle;
  fresh.removed = slot.removed;
  fresh.closed = slot.closed;
  fresh.outdated = slot.outdated;
  slot = fresh;
  slot.generation = generation;
  slot.pid = event.pid;
  slot.started_at = now;
  set_worker_state(state, event.worker,
                   WorkerState::starting);  // schedule() ends it if it is not wanted any more
  state.timers.push({now + pool.settings.start_timeout, TimerKind::start_overdue, event.worker});
  begin_service(state, event.worker, now);
}

void on_start_failed(State& state, WorkerStartFailed&& event, Time now, Step& step) {
  if (event.pool >= state.pools.size() || event.slot >= state.pools[event.pool].slots.size()) return;
  Pool& pool = state.pools[event.pool];
  Slot& slot = pool.slots[event.slot];
  slot.start_requested = false;
  if (wanted(state, pool, slot)) throttle(state, event.pool, std::move(event.failure), now, step);
  trim_removed_slots(pool);
  mark_attend(state, event.pool);
  offer_room(state);
}

void on_hello(State& state, const WorkerHello& event, Step& step) {
  Slot* slot = find_slot(state, event.worker);
  if (!slot) return;
  if (slot->adopted)
    return condemn(state, event.worker, StopReason::its_fault, "it forgot what it runs", step);
  if (slot->hello) return condemn(state, event.worker, StopReason::its_fault, "it said hello twice", step);
  slot->hello = true;
  if (event.one_at_a_time) slot->one_at_a_time_until = Time::max();
  if (slot->state != WorkerState::starting) return;
  Pool& pool = state.pools[event.worker.pool];
  pool.was_ready = true;
  if (pool.throttled()) heal(state, event.worker.pool, step);
  pool.start_failure = {};
  set_worker_state(state, event.worker, WorkerState::idle);
}

void on_exited(State& state, const WorkerExited& event, Time now, Step& step) {
  Slot* slot = find_slot(state, event.worker);
  if (!slot) return;
  Pool& pool = state.pools[event.worker.pool];
  const bool asked_for = slot->state == WorkerState::retiring || slot->stop_reason == StopReason::our_wish ||
                         slot->stop_reason == StopReason::its_task;
  if (!asked_for) ++pool.counters.workers_lost;
  if (slot->hello && now - slot->started_at >= lifetime_min) pool.failures_before_hello = 0;
  if (!asked_for && wanted(state, pool, *slot) && failed_to_start(*slot, event, now)) {
    StartFailure failure{0, {}, slot->hello ? "ended right after its start" : "ended before its hello"};
    failure.message += event.signaled ? ", by signal " : ", with exit code ";
    failure.message += std::to_string(event.code);
    if (!event.complaint.empty()) failure.message = event.complaint;
    throttle(state, event.worker.pool, std::move(failure), now, step);
  }
  end_attempts_of_lost_worker(state, event.worker, event.signaled, event.code, now, step);
  slot->outdated = slot->return_pending = slot->watch_armed = slot->adopted = false;
  slot->stop_reason = StopReason::none;
  slot->pid = 0;
  set_worker_state(state, event.worker, WorkerState::vacant);
  trim_removed_slots(pool);
}

void on_broken(State& state, WorkerBroken&& event, Time now, Step& step) {
  Slot* slot = find_slot(state, event.worker);
  if (!slot) return;
  if (!event.only_closed)
    return condemn(state, event.worker, StopReason::its_fault, std::move(event.reason), step);
  if (slot->state == WorkerState::stopping) return;
  state.timers.push({now + closed_pipe_patience, TimerKind::exit_overdue, event.worker});
  if (slot->state == WorkerState::retiring) return;
  slot->stop_reason = StopReason::closed;
  set_worker_state(state, event.worker, WorkerState::stopping);
}

void condemn(State& state, WorkerRef worker, StopReason whose, std::string reason, Step& step) {
  StopReason& known = state.pools[worker.pool].slots[worker.slot].stop_reason;
  if (known != StopReason::none && known != StopReason::closed) return;
  known = whose;
  set_worker_state(state, worker, WorkerState::stopping);
  step.now.push_back(WorkerCondemned{worker, std::move(reason)});
  step.now.push_back(SignalWorker{worker, sigkill});
}

void retire(State& state, WorkerRef worker, Time now, Step& step) {
  const Slot& slot = state.pools[worker.pool].slots[worker.slot];
  invariant(slot.state == WorkerState::idle || slot.state == WorkerState::busy,
            "only a ready worker retires");
  step.now.push_back(StopWorker{worker});
  if (slot.held.empty()) arm_exit_overdue(state, worker, now);
  set_worker_state(state, worker, WorkerState::retiring);
}

void arm_exit_overdue(State& state, WorkerRef worker, Time now) {
  state.timers.push({now + exit_patience, TimerKind::exit_overdue, worker});
}

}  // namespace poold::core
