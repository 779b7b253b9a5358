#include "daemon/core/pool.hpp"

#include <algorithm>

namespace poold::core {

PoolState state_of(const Pool& pool) {
  if (pool.throttled()) return PoolState::throttled;
  if (pool.draining || pool.removed) return PoolState::draining;
  if (pool.paused) return PoolState::paused;
  if (!pool.was_ready && pool.min > 0) return PoolState::starting;
  return PoolState::ready;
}

std::uint32_t ready_workers(const Pool& pool) {
  return static_cast<std::uint32_t>(std::ranges::count_if(pool.slots, [](const Slot& slot) {
    return slot.state == WorkerState::idle || slot.state == WorkerState::busy;
  }));
}

std::uint32_t busy_workers(const Pool& pool) {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(pool.slots, [](const Slot& slot) { return !slot.held.empty(); }));
}

std::uint32_t live_processes(const Pool& pool) {
  return static_cast<std::uint32_t>(std::ranges::count_if(pool.slots, [](const Slot& slot) {
    return slot.state != WorkerState::vacant || slot.start_requested;
  }));
}

}  // namespace poold::core
