// What must always hold of the queues, derived again. Costs time in proportion to everything there is.
#include "daemon/core/sync/queues.hpp"

namespace poold::sync {

std::string Queues::broken_invariant() const {
  std::unordered_map<std::uint32_t, User> users;
  std::unordered_map<std::uint64_t, std::uint32_t> flights;
  std::size_t waiting = 0;
  for (const auto& [holder, flight] : flights_) {
    const Queue* queue = find(flight.name);
    if (!queue || queue->number != flight.queue) continue;
    ++flights[flight.queue];
    for (const Message& message : *flight.messages) users[queue->settings.uid].bytes += message.size();
  }
  for (const auto& [name, queue] : queues_) {
    std::uint64_t bytes = 0;
    for (const Message& message : queue->messages) bytes += message.size();
    if (bytes != queue->bytes) return name + ": its bytes are miscounted";
    if (!queue->getters.empty() && !queue->messages.empty())
      return name + ": a getter waits beside a message";
    if (!queue->putters.empty()) {
      const Message& next = queue->putters.front().messages.front();
      if (queue->messages.size() < queue->settings.length_max &&
          queue->bytes + next.size() <= queue->settings.bytes_max)
        return name + ": a putter waits beside room";
      if (queue->closed) return name + ": a putter waits for a closed queue";
    }
    if (queue->closed && queue->messages.empty() && queue->flights == 0) return name + ": should have gone";
    if (queue->flights != flights[queue->number]) return name + ": its flights are miscounted";
    for (const Putter& putter : queue->putters)
      for (const Message& message : putter.messages) bytes += message.size();
    waiting += queue->putters.size() + queue->getters.size();
    users[queue->settings.uid].bytes += bytes;
    ++users[queue->settings.uid].queues;
  }
  if (waiting != waiting_.size()) return "somebody waits for nothing";
  for (const auto& [uid, user] : users_)
    if (user.queues != users[uid].queues || user.bytes != users[uid].bytes)
      return "uid " + std::to_string(uid) + ": what it has is miscounted";
  return {};
}

}  // namespace poold::sync
