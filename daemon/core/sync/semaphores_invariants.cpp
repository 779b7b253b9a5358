// What must always hold of the semaphores, derived again.
#include "daemon/core/sync/semaphores.hpp"

namespace poold::sync {

std::string Semaphores::broken_invariant() const {
  std::size_t waiting = 0;
  std::unordered_map<std::uint32_t, std::uint32_t> users;
  for (const auto& [name, semaphore] : semaphores_) {
    std::uint64_t total = semaphore->free;
    for (const Holding& holding : semaphore->holdings) {
      total += holding.permits;
      if (holding.permits == 0) return name + ": somebody holds nothing";
      const auto known = held_by_.find(holding.holder.number);
      if (known == held_by_.end() || !known->second.contains(name))
        return name + ": a holder's end would not be noticed";
    }
    if (total > semaphore->settings.permits_max) return name + ": more permits than there may be";
    if (!semaphore->line.empty() && semaphore->line.front().count <= semaphore->free)
      return name + ": somebody waits beside free permits";
    waiting += semaphore->line.size();
    ++users[semaphore->settings.uid];
  }
  if (waiting != waiting_.size()) return "somebody waits for nothing";
  for (const auto& [uid, owned] : users_)
    if (owned != users[uid]) return "uid " + std::to_string(uid) + ": its semaphores are miscounted";
  return {};
}

}  // namespace poold::sync
