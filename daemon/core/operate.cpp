// What operators ask for: pools, their sizes and moods, and the end of everything.
#include <unordered_set>
#include <utility>

#include "common/invariant.hpp"
#include "daemon/core/handlers.hpp"
#include "daemon/core/window.hpp"

namespace poold::core {
namespace {

void resize(State& state, PoolIndex index, std::uint32_t size) {
  Pool& pool = state.pools[index];
  pool.size = size;
  if (pool.slots.size() < size) pool.slots.resize(size);
  for (std::uint32_t number = 0; number < pool.slots.size(); ++number)
    pool.slots[number].removed = number >= size;
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

void configure_pool(State& state, const PoolSettings& settings, Time now) {
  const auto known = state.pool_names.find(settings.name);
  const bool is_new = known == state.pool_names.end();
  const PoolIndex index = is_new ? make_pool(state, settings) : known->second;
  Pool& pool = state.pools[index];
  const bool other_program = !is_new && pool.settings.program != settings.program;
  const bool other_size = is_new || pool.removed || pool.settings.workers != settings.workers;
  pool.settings = settings;
  if (std::exchange(pool.removed, false)) pool.paused = pool.draining = false;
  if (other_size) resize(state, index, settings.workers);
  if (other_program) mark_outdated(state, index);
  // Whoever reloads has repaired something: try at once.
  if (pool.throttled()) pool.throttled_until = now;
  mark_attend(state, index);
}

}  // namespace

void on_configure(State& state, const Configure& event, Time now) {
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
}

void on_scale(State& state, const ScalePool& event) {
  invariant(event.pool < state.pools.size(), "a pool to be scaled exists");
  resize(state, event.pool, event.workers);
}

void on_pause(State& state, const PausePool& event, Time now, Step& step) {
  Pool& pool = state.pools[event.pool];
  pool.paused = true;
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
  for (PoolIndex index = 0; index < state.pools.size(); ++index) {
    // These pools live in memory: nobody will ever run what is queued, and whoever waits for it is to know.
    Pool& pool = state.pools[index];
    while (Task* task = pool.queue.front()) {
      pool.queue.remove(*task);
      finish_cancelled(state, *task, now, step);
    }
    for (std::uint32_t number = 0; number < pool.slots.size(); ++number) {
      ask_back(state, {index, number, pool.slots[number].generation}, now, step);
      if (pool.slots[number].state == WorkerState::starting)
        condemn(state, {index, number, pool.slots[number].generation}, StopReason::our_wish,
                "the daemon stops", step);
    }
    mark_attend(state, index);
  }
  state.timers.push({now + event.timeout, TimerKind::stop_overdue, {}});
}

}  // namespace poold::core
