// What operators ask for: pools, their sizes and moods, and the end of everything.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include "common/invariant.hpp"
#include "daemon/core/handlers.hpp"
#include "daemon/core/sizing.hpp"
#include "daemon/core/window.hpp"

namespace poold::core {
namespace {

// Slots beyond `min` are open as there is work.
void resize(State& state, PoolIndex index, std::uint32_t size, std::uint32_t min) {
  Pool& pool = state.pools[index];
  pool.size = size;
  pool.min = pool.least = min;
  pool.surge = false;
  if (pool.slots.size() < size) pool.slots.resize(size);
  for (std::uint32_t number = 0; number < pool.slots.size(); ++number)
    pool.slots[number].removed = number >= size;
  std::uint32_t open = 0;
  for (Slot& slot : pool.slots) {
    // Workers that are there stay; if there are too many, they idle out.
    const bool there = slot.state != WorkerState::vacant || slot.start_requested;
    slot.closed = !slot.removed && open >= min && !(there && !slot.closed);
    if (!slot.closed) ++open;
  }
  trim_removed_slots(pool);
  mark_attend(state, index);
}

PoolIndex make_pool(State& state, const PoolSettings& settings) {
  const auto index = static_cast<PoolIndex>(state.pools.size());
  state.pools.emplace_back();
  state.pool_names.emplace(settings.name, index);
  return index;
}

void mark_outdated(State& state, PoolIndex index) {
  Pool& pool = state.pools[index];
  for (Slot& slot : pool.slots) slot.outdated = slot.state != WorkerState::vacant || slot.start_requested;
  pool.recycling = true;
  mark_attend(state, index);
}

// From now on they are counted as they come and go.
void count_user_tasks(State& state, PoolIndex index) {
  auto& counts = state.pools[index].user_tasks;
  counts.clear();
  state.tasks.each([&](const Task& task) {
    if (task.pool == index) ++counts[task.uid];
    return true;
  });
}

void configure_pool(State& state, const PoolSettings& settings, Time now) {
  const auto known = state.pool_names.find(settings.name);
  const bool is_new = known == state.pool_names.end();
  const PoolIndex index = is_new ? make_pool(state, settings) : known->second;
  Pool& pool = state.pools[index];
  const bool other_program = !is_new && pool.settings.program != settings.program;
  const bool other_size = is_new || pool.removed || pool.settings.workers != settings.workers ||
                          pool.settings.workers_min != settings.workers_min;
  if (settings.user_tasks_max > 0 && pool.settings.user_tasks_max == 0) count_user_tasks(state, index);
  if (settings.rate != pool.settings.rate) pool.bucket = {};
  pool.queue.configure(settings.ageing, settings.shares);
  pool.settings = settings;
  if (std::exchange(pool.removed, false)) pool.paused = pool.draining = false;
  if (other_size)
    resize(state, index, settings.workers,
           std::min(settings.workers, settings.workers_min.value_or(settings.workers)));
  if (other_program) mark_outdated(state, index);
  // Whoever reloads has repaired something: try at once.
  if (pool.throttled()) pool.throttled_until = now;
  mark_attend(state, index);
}

void cancel_pending(State& state, Task& task, Time now, Step& step) {
  displace(state, task, now);
  finish_cancelled(state, task, now, step);
}

void cancel_parked(State& state, Time now, Step& step) {
  std::vector<Sequence> parked;
  for (const auto& [name, limit] : state.limits)
    for (const auto& [pool, its] : limit->parked)
      if (!state.pools[pool].settings.durable)
        its.queue.each([&](const Task& task) { parked.push_back(task.sequence()); });
  // A limit may go with its last task. Some may have been offered what another gave up, but none ends twice.
  for (const Sequence number : parked) cancel_pending(state, *state.tasks.find(number), now, step);
}

}  // namespace

void on_configure(State& state, const Configure& event, Time now) {
  configure_limits(state, event.limits, now);
  state.workers_max = event.workers_max;
  std::unordered_set<std::string> named;
  for (const PoolSettings& settings : event.pools) {
    configure_pool(state, settings, now);
    named.insert(settings.name);
  }
  for (PoolIndex index = 0; index < state.pools.size(); ++index) {
    if (named.contains(state.pools[index].settings.name)) continue;
    state.pools[index].removed = true;
    mark_attend(state, index);
  }
  fit_least_numbers(state);
}

void on_add_pool(State& state, const AddPool& event, Time now) {
  configure_pool(state, event.pool, now);
  fit_least_numbers(state);
}

void on_remove_pool(State& state, const RemovePool& event) {
  invariant(event.pool < state.pools.size(), "a pool to be removed exists");
  state.pools[event.pool].removed = true;
  mark_attend(state, event.pool);
  fit_least_numbers(state);
}

void on_scale(State& state, const ScalePool& event) {
  invariant(event.pool < state.pools.size(), "a pool to be scaled exists");
  resize(state, event.pool, event.workers, event.workers);
  fit_least_numbers(state);
}

void on_pause(State& state, const PausePool& event, Time now, Step& step) {
  Pool& pool = state.pools[event.pool];
  pool.paused = true;
  pool.paused_by = event.uid;
  mark_dirty(state, event.pool);
  // What was sent ahead and has not started is not running.
  for (std::uint32_t number = 0; number < pool.slots.size(); ++number)
    ask_back(state, {event.pool, number, pool.slots[number].generation}, now, step);
}

void on_drain(State& state, const DrainPool& event) { state.pools[event.pool].draining = true; }

void on_resume(State& state, const ResumePool& event) {
  Pool& pool = state.pools[event.pool];
  pool.paused = pool.draining = false;
  mark_dirty(state, event.pool);
}

void on_recycle(State& state, const RecyclePool& event) { mark_outdated(state, event.pool); }

void on_stop_all(State& state, const StopAll& event, Time now, Step& step) {
  state.stopping = true;
  cancel_parked(state, now, step);
  for (PoolIndex index = 0; index < state.pools.size(); ++index) {
    Pool& pool = state.pools[index];
    if (!pool.settings.durable) {
      // It lives in memory: nobody will ever run what is queued, and whoever waits for it is to know.
      while (Task* task = pool.waiting.front()) cancel_pending(state, *task, now, step);
      while (Task* task = pool.queue.front()) cancel_pending(state, *task, now, step);
    }
    for (std::uint32_t number = 0; number < pool.slots.size(); ++number) {
      ask_back(state, {index, number, pool.slots[number].generation}, now, step);
      if (pool.slots[number].state == WorkerState::starting && !pool.slots[number].adopted)
        condemn(state, {index, number, pool.slots[number].generation}, StopReason::our_wish,
                "the daemon stops", step);
    }
    mark_attend(state, index);
  }
  state.timers.push({now + event.timeout, TimerKind::stop_overdue, {}});
}

}  // namespace poold::core
