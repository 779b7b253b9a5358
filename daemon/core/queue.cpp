#include "daemon/core/queue.hpp"

#include <algorithm>

#include "common/invariant.hpp"

namespace poold::core {
namespace {

// Divisible by many weights, so that the rounding of the others hardly shows.
constexpr std::uint32_t stride_of_weight_one = 720'720;
static_assert(stride_of_weight_one >= weight_max * 100);

bool queued_before(const Task& a, const Task& b) {
  return a.queued_at != b.queued_at ? a.queued_at < b.queued_at : a.sequence() < b.sequence();
}

std::uint32_t stride(std::uint32_t uid, const std::vector<Share>& shares) {
  const auto share = std::ranges::find(shares, uid, &Share::uid);
  return share == shares.end() ? stride_of_weight_one : stride_of_weight_one / std::max(1u, share->weight);
}

}  // namespace

bool QueueLevel::before(std::size_t a, std::size_t b) const {
  return lanes_[a].mark != lanes_[b].mark ? lanes_[a].mark < lanes_[b].mark : lanes_[a].uid < lanes_[b].uid;
}

void QueueLevel::put(std::size_t place, std::size_t lane) {
  active_[place] = lane;
  lanes_[lane].place = place;
}

void QueueLevel::rise(std::size_t place) {
  const std::size_t lane = active_[place];
  while (place > 0 && before(lane, active_[(place - 1) / 2])) {
    put(place, active_[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  put(place, lane);
}

void QueueLevel::sink(std::size_t place) {
  const std::size_t lane = active_[place];
  for (;;) {
    std::size_t below = 2 * place + 1;
    if (below >= active_.size()) break;
    if (below + 1 < active_.size() && before(active_[below + 1], active_[below])) ++below;
    if (!before(active_[below], lane)) break;
    put(place, active_[below]);
    place = below;
  }
  put(place, lane);
}

void QueueLevel::deactivate(std::size_t lane) {
  const std::size_t place = lanes_[lane].place;
  const std::size_t last = active_.back();
  active_.pop_back();
  if (last == lane) return;
  put(place, last);
  rise(place);
  sink(lanes_[last].place);
}

QueueLevel::Lane& QueueLevel::lane(std::uint32_t uid, const std::vector<Share>& shares) {
  if (lanes_.size() == 1 && lanes_.front().uid == uid) return lanes_.front();
  if (lanes_.size() == 1) index_.emplace(lanes_.front().uid, 0);
  if (!lanes_.empty()) {
    const auto [at, is_new] = index_.emplace(uid, lanes_.size());
    if (!is_new) return lanes_[at->second];
  }
  Lane fresh;
  fresh.uid = uid;
  fresh.stride = stride(uid, shares);
  lanes_.push_back(fresh);
  return lanes_.back();
}

// The lane of a task that comes in.
QueueLevel::Lane& QueueLevel::enter(const Task& task, const std::vector<Share>& shares) {
  if (size_ == 0 && lanes_.size() > 1) {
    // Nobody waits: what everybody had before is forgotten.
    lanes_.clear();
    index_.clear();
    mark_ = 0;
  }
  Lane& found = lane(task.uid, shares);
  ++size_;
  if (!found.tasks.empty()) return found;
  found.mark = std::max(found.mark, mark_);
  active_.push_back(static_cast<std::size_t>(&found - lanes_.data()));
  rise(active_.size() - 1);
  return found;
}

// Only what came back before it stands before it: the walk is as long as that, and from task to task of a
// worker that gives many back it is a step or two.
void QueueLevel::push_sorted(Task& task, Task* near, std::uint32_t steps_max,
                             const std::vector<Share>& shares) {
  TaskList& tasks = enter(task, shares).tasks;
  const bool beside = near && near->uid == task.uid && near->priority == task.priority;
  Task* next = beside ? near : tasks.front();
  while (next && next->previous && !queued_before(*next->previous, task)) next = next->previous;
  for (std::uint32_t steps = 0; next && queued_before(*next, task) && steps < steps_max; ++steps)
    next = next->next;
  next ? tasks.insert_before(*next, task) : tasks.push_back(task);
}

void QueueLevel::remove(Task& task, bool started) {
  std::size_t number = 0;
  if (lanes_.size() > 1) {
    const auto at = index_.find(task.uid);
    invariant(at != index_.end(), "a queued task's user has a lane");
    number = at->second;
  }
  Lane& lane = lanes_[number];
  lane.tasks.remove(task);
  --size_;
  if (started) {
    mark_ = lane.mark;
    lane.mark += lane.stride;
  }
  if (lane.tasks.empty()) return deactivate(number);
  if (started && lanes_.size() > 1) sink(lane.place);
}

void QueueLevel::set_shares(const std::vector<Share>& shares) {
  for (Lane& lane : lanes_) lane.stride = stride(lane.uid, shares);
}

double Queue::place(const Task& task) const {
  return static_cast<double>(task.queued_at.time_since_epoch().count()) -
         static_cast<double>(task.priority) * static_cast<double>(ageing_.count());
}

bool Queue::before(const Task& a, const Task& b) const {
  if (a.priority == b.priority || ageing_ == Duration{}) return a.priority > b.priority;
  return place(a) < place(b);
}

Task* Queue::best() const {
  Task* best = nullptr;
  const double oldest = static_cast<double>(oldest_.time_since_epoch().count());
  for (const auto& [priority, level] : levels_) {
    // This level and those below cannot have a task so old that it would come first.
    if (best &&
        (ageing_ == Duration{} ||
         oldest - static_cast<double>(priority) * static_cast<double>(ageing_.count()) >= place(*best)))
      break;
    if (level.empty()) continue;
    Task* task = level.front();
    if (!best || before(*task, *best)) best = task;
  }
  return best;
}

void Queue::remove(Task& task, bool started) {
  const auto at = levels_.size() == 1 ? levels_.begin() : levels_.find(task.priority);
  invariant(at != levels_.end() && !at->second.empty(), "a queued task's priority has a level");
  at->second.remove(task, started);
  --size_;
  if (size_ == 0) oldest_ = Time::max();
  // One empty level may stay, so that a queue that empties and fills again costs no memory.
  if (at->second.empty() && levels_.size() > 1) levels_.erase(at);
}

void Queue::configure(Duration ageing, const std::vector<Share>& shares) {
  ageing_ = ageing;
  if (shares_ == shares) return;
  shares_ = shares;
  for (auto& [priority, level] : levels_) level.set_shares(shares_);
}

}  // namespace poold::core
