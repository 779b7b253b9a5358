#include "daemon/core/sync/queues.hpp"

#include <algorithm>
#include <utility>

#include "common/invariant.hpp"

namespace poold::sync {
namespace {

std::uint64_t size_of(const Messages& messages) {
  std::uint64_t size = 0;
  for (const Message& message : messages) size += message.size();
  return size;
}

bool has_room(const Queue& queue, const Message& message) {
  return queue.messages.size() < queue.settings.length_max &&
         queue.bytes + message.size() <= queue.settings.bytes_max;
}

QueueAnswer refused(CallNumber call, Refusal refusal) {
  return {call, QueueAnswer::Kind::refused, 0, nullptr, refusal};
}

}  // namespace

Refusal Queues::create(QueueSettings settings) {
  if (queues_.contains(settings.name)) return Refusal::exists;
  User& user = users_[settings.uid];
  if (user.queues >= user_queues_max) return Refusal::too_many;
  ++user.queues;
  auto queue = std::make_unique<Queue>();
  queue->number = ++last_number_;
  queue->settings = std::move(settings);
  std::string name = queue->settings.name;
  queues_.emplace(std::move(name), std::move(queue));
  return Refusal::none;
}

const Queue* Queues::find(const std::string& name) const {
  const auto at = queues_.find(name);
  return at == queues_.end() ? nullptr : at->second.get();
}

Queue* Queues::find_queue(const std::string& name) {
  const auto at = queues_.find(name);
  return at == queues_.end() ? nullptr : at->second.get();
}

void Queues::put(CallNumber call, const std::string& name, Messages messages, bool wait,
                 QueueAnswers& answers) {
  Queue* queue = find_queue(name);
  if (!queue) return answers.push_back(refused(call, Refusal::unknown));
  if (queue->closed) return answers.push_back(refused(call, Refusal::closed));
  for (const Message& message : messages)
    if (message.size() > queue->settings.bytes_max)
      return answers.push_back(refused(call, Refusal::too_large));
  const std::uint64_t size = size_of(messages);
  User& user = users_[queue->settings.uid];
  if (user.bytes + size > user_bytes_max) return answers.push_back(refused(call, Refusal::owner_full));
  user.bytes += size;
  queue->putters.push_back(
      {call, {std::make_move_iterator(messages.begin()), std::make_move_iterator(messages.end())}, 0});
  waiting_.emplace(call, name);
  settle(*queue, answers);
  if (!wait) give_up(call, true, answers);
}

void Queues::get(CallNumber call, const Holder& holder, const std::string& name, std::uint32_t count,
                 bool wait, QueueAnswers& answers) {
  Queue* queue = find_queue(name);
  if (!queue) return answers.push_back(refused(call, Refusal::unknown));
  queue->getters.push_back({call, holder, count});
  waiting_.emplace(call, name);
  settle(*queue, answers);
  if (!wait) give_up(call, true, answers);
}

void Queues::give_up(CallNumber call, bool answer, QueueAnswers& answers) {
  const auto waits = waiting_.find(call);
  if (waits == waiting_.end()) return;
  Queue* queue = find_queue(waits->second);
  invariant(queue != nullptr, "a queue that goes answers those that wait for it");
  waiting_.erase(waits);
  const auto is_call = [call](const auto& waiter) { return waiter.call == call; };
  const auto putter = std::ranges::find_if(queue->putters, is_call);
  if (putter != queue->putters.end()) {
    for (const Message& message : putter->messages) give_back_bytes(queue->settings.uid, message.size());
    if (answer) answers.push_back({call, QueueAnswer::Kind::put, putter->put, nullptr, Refusal::none});
    queue->putters.erase(putter);
  } else {
    std::erase_if(queue->getters, is_call);
    if (answer) answers.push_back({call, QueueAnswer::Kind::got, 0, nullptr, Refusal::none});
  }
  settle(*queue, answers);  // a smaller message may have stood behind a large one
}

Refusal Queues::remove(const std::string& name, QueueAnswers& answers) {
  Queue* queue = find_queue(name);
  if (!queue) return Refusal::unknown;
  erase(*queue, answers);
  return Refusal::none;
}

Refusal Queues::close(const std::string& name, QueueAnswers& answers) {
  Queue* queue = find_queue(name);
  if (!queue) return Refusal::unknown;
  queue->closed = true;
  for (const Putter& putter : queue->putters) {
    for (const Message& message : putter.messages) give_back_bytes(queue->settings.uid, message.size());
    waiting_.erase(putter.call);
    answers.push_back(refused(putter.call, Refusal::closed));
  }
  queue->putters.clear();
  drop_if_done(*queue, answers);
  return Refusal::none;
}

void Queues::confirm(HolderNumber holder, QueueAnswers& answers) {
  const auto at = flights_.find(holder);
  if (at == flights_.end()) return;
  const Flight flight = std::move(at->second);
  flights_.erase(at);
  Queue* queue = find_queue(flight.name);
  if (!queue || queue->number != flight.queue) return;  // was given up when its queue went
  --queue->flights;
  give_back_bytes(queue->settings.uid, size_of(*flight.messages));
  drop_if_done(*queue, answers);
}

void Queues::gone(HolderNumber holder, bool unread, QueueAnswers& answers) {
  const auto at = flights_.find(holder);
  if (at != flights_.end() && unread) {
    const Flight flight = std::move(at->second);
    flights_.erase(at);
    Queue* queue = find_queue(flight.name);
    if (queue && queue->number == flight.queue) {
      --queue->flights;
      queue->bytes += size_of(*flight.messages);
      queue->messages.insert(queue->messages.begin(), flight.messages->begin(), flight.messages->end());
      settle(*queue, answers);
    }
  } else {
    confirm(holder, answers);
  }
  std::vector<Queue*> bound;
  for (const auto& [name, queue] : queues_)
    if (queue->settings.bound_to == holder) bound.push_back(queue.get());
  for (Queue* queue : bound) erase(*queue, answers);
}

void Queues::settle(Queue& queue, QueueAnswers& answers) {
  while (take_in(queue, answers) || give_out(queue, answers)) {
  }
}

// The first putter's messages, as far as there is room. False if nothing has changed.
bool Queues::take_in(Queue& queue, QueueAnswers& answers) {
  if (queue.putters.empty()) return false;
  Putter& putter = queue.putters.front();
  bool changed = false;
  while (!putter.messages.empty() && has_room(queue, putter.messages.front())) {
    queue.bytes += putter.messages.front().size();
    queue.messages.push_back(std::move(putter.messages.front()));
    putter.messages.pop_front();
    ++putter.put;
    ++queue.put;
    changed = true;
  }
  if (!putter.messages.empty()) return changed;
  waiting_.erase(putter.call);
  answers.push_back({putter.call, QueueAnswer::Kind::put, putter.put, nullptr, Refusal::none});
  queue.putters.pop_front();
  return true;
}

// What there is, to the first getter. False if nothing has changed.
bool Queues::give_out(Queue& queue, QueueAnswers& answers) {
  if (queue.getters.empty() || queue.messages.empty()) return false;
  const Getter getter = queue.getters.front();
  queue.getters.pop_front();
  waiting_.erase(getter.call);
  auto given = std::make_shared<Messages>();
  std::size_t size = 0;
  while (!queue.messages.empty() && given->size() < getter.count) {
    const std::size_t next = queue.messages.front().size();
    if (!given->empty() && size + next > get_bytes_max) break;
    size += next;
    queue.bytes -= next;
    given->push_back(std::move(queue.messages.front()));
    queue.messages.pop_front();
  }
  ++queue.flights;
  const bool first =
      flights_.emplace(getter.holder.number, Flight{queue.number, queue.settings.name, given}).second;
  invariant(first, "a connection asks again only after it has read");
  answers.push_back({getter.call, QueueAnswer::Kind::got, 0, given, Refusal::none});
  return true;
}

void Queues::drop_if_done(Queue& queue, QueueAnswers& answers) {
  if (queue.closed && queue.messages.empty() && queue.flights == 0) erase(queue, answers);
}

void Queues::erase(Queue& queue, QueueAnswers& answers) {
  std::uint64_t bytes = queue.bytes;
  for (const Putter& putter : queue.putters) {
    for (const Message& message : putter.messages) bytes += message.size();
    waiting_.erase(putter.call);
    answers.push_back(refused(putter.call, Refusal::unknown));
  }
  for (const Getter& getter : queue.getters) {
    waiting_.erase(getter.call);
    answers.push_back(refused(getter.call, Refusal::unknown));
  }
  if (queue.flights > 0)
    for (const auto& [holder, flight] : flights_)
      if (flight.queue == queue.number) bytes += size_of(*flight.messages);
  give_back_bytes(queue.settings.uid, bytes);
  --users_[queue.settings.uid].queues;
  queues_.erase(std::string(queue.settings.name));
}

void Queues::give_back_bytes(std::uint32_t uid, std::uint64_t bytes) {
  User& user = users_[uid];
  invariant(user.bytes >= bytes, "what is given back was taken");
  user.bytes -= bytes;
}

}  // namespace poold::sync
