#include "daemon/core/pool.hpp"

#include <algorithm>

#include "common/invariant.hpp"

namespace poold::core {

Task* Queue::front() const {
  for (const auto& [priority, list] : lists_)
    if (!list.empty()) return list.front();
  return nullptr;
}

void Queue::push_back(Task& task) {
  list(task.priority).push_back(task);
  ++size_;
}

void Queue::push_front(Task& task) {
  list(task.priority).push_front(task);
  ++size_;
}

void Queue::remove(Task& task) {
  const auto at = lists_.find(task.priority);
  invariant(at != lists_.end(), "a queued task's priority has a list");
  at->second.remove(task);
  --size_;
  // One empty list may stay, so that a queue that empties and fills again costs no memory.
  if (at->second.empty() && lists_.size() > 1) lists_.erase(at);
}

PoolState state_of(const Pool& pool) {
  if (pool.throttled()) return PoolState::throttled;
  if (pool.draining || pool.removed) return PoolState::draining;
  if (pool.paused) return PoolState::paused;
  if (!pool.was_ready && pool.size > 0) return PoolState::starting;
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
