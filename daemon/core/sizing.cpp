#include "daemon/core/sizing.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/handlers.hpp"

namespace poold::core {
namespace {

bool is_ready(const Slot& slot) { return slot.state == WorkerState::idle || slot.state == WorkerState::busy; }

// Of the pool's own slots.
std::uint32_t count_open(const Pool& pool) {
  const auto own = pool.slots.begin() + pool.size;
  return static_cast<std::uint32_t>(
      std::count_if(pool.slots.begin(), own, [](const Slot& slot) { return !slot.closed; }));
}

std::uint32_t slots_needed(const Pool& pool) {
  const std::uint64_t queued = pool.paused ? 0 : pool.queue.size();
  const std::uint64_t needed = queued + busy_workers(pool) + pool.settings.spare;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(needed, pool.min, pool.size));
}

Time idle_since(const Slot& slot) { return std::max(slot.head_since, slot.started_at); }

// Towards the number of all pools together. Not pools that are on their way out: what they still have to do
// may be what others wait for. Nor dedicated processes, which stand outside the slots and have a bound of
// their own.
bool counted(const Pool& pool) { return !pool.removed && !pool.settings.one_task; }

std::uint32_t processes(const State& state) {
  std::uint32_t count = 0;
  for (const Pool& pool : state.pools) count += counted(pool) ? live_processes(pool) : 0;
  return count;
}

// What a pool has before others get more: its least number, and one if there is anything to do.
std::uint32_t floor_of(const Pool& pool) {
  const bool work = (!pool.paused && !pool.queue.empty()) || pool.running > 0;
  return std::min(pool.size, std::max(pool.min, work ? 1u : 0u));
}

// Without those that are only spare.
std::uint32_t needed_for_work(const Pool& pool) {
  const std::uint64_t queued = pool.paused ? 0 : pool.queue.size();
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(queued + busy_workers(pool), pool.min, pool.size));
}

// What the other pools lack.
std::uint32_t lacking(const State& state, const Pool& except, std::uint32_t (*needed)(const Pool&)) {
  std::uint32_t count = 0;
  for (const Pool& pool : state.pools) {
    if (&pool == &except || !counted(pool)) continue;
    const std::uint32_t live = live_processes(pool), wants = needed(pool);
    if (live < wants) count += wants - live;
  }
  return count;
}

// First comes every pool's floor, then what work needs, then what is spare. A pool that is on its way out
// takes what it needs to end.
bool there_is_room(const State& state, const Pool& pool) {
  if (state.workers_max == 0 || !counted(pool)) return true;
  const std::uint32_t live = live_processes(pool);
  const std::uint32_t kept = live < floor_of(pool)          ? 0
                             : live < needed_for_work(pool) ? lacking(state, pool, floor_of)
                                                            : lacking(state, pool, needed_for_work);
  return processes(state) + kept < state.workers_max;
}

// For a pool that has work: somebody goes who idles and is not needed; for one that has no worker, also one
// of a pool that has more than its floor, when it has done what it does. Nobody if somebody is on the way
// out.
std::optional<WorkerRef> find_leaver(const State& state, PoolIndex index) {
  const Pool& wanting = state.pools[index];
  const std::uint32_t live = live_processes(wanting);
  if (live >= needed_for_work(wanting)) return std::nullopt;
  const Slot* leaves = nullptr;
  PoolIndex of = 0;
  for (PoolIndex other = 0; other < state.pools.size(); ++other) {
    const Pool& pool = state.pools[other];
    if (!counted(pool)) continue;
    // Slots may be open that have no worker yet, and a worker may stand in for one that is recycled.
    const std::uint32_t its = std::min(count_open(pool), live_processes(pool));
    const bool spare = its > needed_for_work(pool), more = live < floor_of(wanting) && its > floor_of(pool);
    for (const Slot& slot : pool.slots) {
      if (slot.state == WorkerState::retiring || slot.state == WorkerState::stopping) return std::nullopt;
      if (other == index || !elastic(pool) || slot.closed || slot.removed) continue;
      const bool idles = slot.state == WorkerState::idle;
      if (!(idles && spare) && !(is_ready(slot) && more)) continue;
      const bool better =
          !leaves ||
          (idles && (leaves->state != WorkerState::idle || idle_since(slot) < idle_since(*leaves)));
      if (!better) continue;
      leaves = &slot;
      of = other;
    }
  }
  if (!leaves) return std::nullopt;
  return WorkerRef{of, static_cast<std::uint32_t>(leaves - state.pools[of].slots.data()), leaves->generation};
}

// A part of up to `spread` per cent, another one for each worker.
std::int64_t less_spread(std::int64_t limit, std::uint32_t spread, WorkerRef worker) {
  std::uint64_t value =
      (std::uint64_t{worker.pool} << 42 ^ std::uint64_t{worker.slot} << 21 ^ worker.generation) + 1;
  value *= 0x9e3779b97f4a7c15;
  value ^= value >> 29;
  value *= 0xbf58476d1ce4e5b9;
  const double part = static_cast<double>(value >> 11) / static_cast<double>(std::uint64_t{1} << 53);
  return limit - static_cast<std::int64_t>(static_cast<double>(limit) * part * spread / 100);
}

// In this turn. None may be told to go that is about to get a task.
bool promised_a_task(const Step& step, PoolIndex index, const Slot& slot) {
  return std::ranges::any_of(step.promises, [&](const Promise& promise) {
    const auto* dispatch = std::get_if<Dispatch>(&promise);
    return dispatch && dispatch->worker.pool == index && slot.held.back() &&
           dispatch->task == slot.held.back()->sequence();
  });
}

void set_surge(Pool& pool, bool surge) {
  pool.surge = surge;
  if (surge && pool.slots.size() == pool.size) pool.slots.emplace_back();
  pool.slots[pool.size].removed = !surge;
}

}  // namespace

void fit_least_numbers(State& state) {
  std::uint64_t least = 0;
  for (const Pool& pool : state.pools)
    if (counted(pool)) least += std::max(1u, pool.least);
  const bool fits = state.workers_max == 0 || least <= state.workers_max;
  for (PoolIndex index = 0; index < state.pools.size(); ++index) {
    Pool& pool = state.pools[index];
    if (!counted(pool)) continue;
    const std::uint32_t min = fits ? pool.least : 0;
    if (std::exchange(pool.min, min) == min) continue;
    open_slots(pool);
    mark_attend(state, index);
  }
}

bool open_slots(Pool& pool) {
  const std::uint32_t needed = slots_needed(pool);
  std::uint32_t open = count_open(pool);
  if (open >= needed) return false;
  for (std::uint32_t number = 0; number < pool.size && open < needed; ++number)
    if (std::exchange(pool.slots[number].closed, false)) ++open;
  return true;
}

void close_idle_slots(State& state, PoolIndex index, Time now) {
  Pool& pool = state.pools[index];
  const std::uint32_t open = count_open(pool), needed = slots_needed(pool);
  if (open <= needed) return;
  std::uint32_t too_many = open - needed;
  Time next = Time::max();
  // The least recently used stand first.
  for (const std::uint32_t number : pool.idle) {
    if (too_many == 0 || number >= pool.size) continue;
    Slot& slot = pool.slots[number];
    if (slot.closed || slot.state != WorkerState::idle) continue;
    const Time at = idle_since(slot) + pool.settings.idle_timeout;
    if (at <= now) {
      slot.closed = true;
      --too_many;
    } else {
      next = std::min(next, at);
    }
  }
  if (next != Time::max() && !std::exchange(pool.idle_timer_armed, true))
    state.timers.push({next, TimerKind::idle_check, {index, 0, 0}});
}

void watch_idle_slots(State& state, PoolIndex index, Time now) {
  Pool& pool = state.pools[index];
  // The list may name slots that do not idle any more; for them there would be nothing to do, again and
  // again.
  const bool one_idles = std::ranges::any_of(pool.idle, [&](std::uint32_t number) {
    return number < pool.size && pool.slots[number].state == WorkerState::idle && !pool.slots[number].closed;
  });
  if (pool.idle_timer_armed || !one_idles || count_open(pool) <= slots_needed(pool)) return;
  pool.idle_timer_armed = true;
  state.timers.push({now + pool.settings.idle_timeout, TimerKind::idle_check, {index, 0, 0}});
}

bool find_room(State& state, PoolIndex index, Time now) {
  Pool& pool = state.pools[index];
  if (there_is_room(state, pool)) return true;
  pool.wants_room = true;
  // Not in this turn, in which a worker may have been promised a task already.
  if (find_leaver(state, index) && !std::exchange(state.room_timer_armed, true))
    state.timers.push({now, TimerKind::room_check, {}});
  return false;
}

void ring_room_check(State& state) {
  state.room_timer_armed = false;
  for (PoolIndex index = 0; index < state.pools.size(); ++index)
    if (const auto leaver = state.pools[index].wants_room ? find_leaver(state, index) : std::nullopt) {
      state.pools[leaver->pool].slots[leaver->slot].closed = true;
      return mark_attend(state, leaver->pool);
    }
}

void offer_room(State& state) {
  if (state.workers_max == 0) return;
  for (PoolIndex index = 0; index < state.pools.size(); ++index)
    if (std::exchange(state.pools[index].wants_room, false)) mark_attend(state, index);
}

void recycle(State& state, PoolIndex index, Time now, Step& step) {
  Pool& pool = state.pools[index];
  const Slot* next = nullptr;
  bool all_ready = true, empty = false;
  for (Slot& slot : pool.slots) {
    if (slot.state == WorkerState::vacant && !slot.start_requested) slot.outdated = false;
    if (slot.removed || slot.closed) continue;
    all_ready = all_ready && is_ready(slot);
    empty = empty || (slot.state == WorkerState::vacant && !slot.start_requested);
    if (slot.outdated && is_ready(slot) && (!next || slot.state == WorkerState::idle)) next = &slot;
  }
  if (pool.surge && empty && !there_is_room(state, pool)) {
    // Others were faster: without the one that stands in. If it is there, it makes room for what is empty.
    if (promised_a_task(step, index, pool.slots[pool.size])) return;
    set_surge(pool, false);
    all_ready = next != &pool.slots[pool.size] && std::ranges::all_of(pool.slots, [](const Slot& slot) {
                  return slot.removed || slot.closed || is_ready(slot);
                });
  }
  if (!all_ready) return;
  if (next && !pool.surge && !pool.removed && there_is_room(state, pool)) {
    set_surge(pool, true);
    return;  // it is started next
  }
  if (next) {
    // It is looked at again when it has done what it was just promised.
    if (promised_a_task(step, index, *next)) return;
    const auto number = static_cast<std::uint32_t>(next - pool.slots.data());
    return retire(state, {index, number, next->generation}, now, step);
  }
  if (pool.surge && promised_a_task(step, index, pool.slots[pool.size])) return;
  if (pool.surge) set_surge(pool, false);
  // What is left of removed slots counts: the pool may grow again before they are gone.
  pool.recycling = std::ranges::any_of(pool.slots, &Slot::outdated);
}

void begin_service(State& state, WorkerRef worker, Time now) {
  const Pool& pool = state.pools[worker.pool];
  Slot& slot = state.pools[worker.pool].slots[worker.slot];
  const WorkerService& service = pool.settings.service;
  if (service.tasks > 0)
    slot.tasks_max = static_cast<std::uint64_t>(
        std::max<std::int64_t>(1, less_spread(service.tasks, service.spread, worker)));
  if (service.age > Duration{})
    state.timers.push({now + Duration(less_spread(service.age.count(), service.spread, worker)),
                       TimerKind::worker_ages, worker});
}

void wear_out(State& state, WorkerRef worker) {
  Slot* slot = find_slot(state, worker);
  if (!slot || slot->outdated || !is_ready(*slot)) return;
  slot->outdated = true;
  state.pools[worker.pool].recycling = true;
  mark_attend(state, worker.pool);
}

void on_memory(State& state, const WorkerMemory& event) {
  if (!find_slot(state, event.worker)) return;
  const std::uint64_t memory_max = state.pools[event.worker.pool].settings.service.memory;
  if (memory_max > 0 && event.bytes > memory_max) wear_out(state, event.worker);
}

}  // namespace poold::core
