// Tasks that could start: higher priority first, shared fairly between users, first come first served within.
//
// A priority's advantage is finite, so that nothing starves: each point of it is worth `ageing` of waiting.
// So a task's place is the time when it was queued, minus its priority times `ageing`, which does not change
// while it waits. Within a priority the user who has had least, by weight, is next (start-time fair queueing;
// Goyal, Vin, Cheng 1996): each start moves the user's mark on by 1/weight, and a user who comes back begins
// at the mark of the last start. One user alone costs nothing of this.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "daemon/core/task.hpp"

namespace poold::core {

inline constexpr Duration ageing_default = std::chrono::minutes(1);
inline constexpr std::uint32_t weight_max = 1000;

// How much of a pool a user gets beside others, in relation to theirs. Who is not named has 1.
struct Share {
  std::uint32_t uid = 0;
  std::uint32_t weight = 1;
  bool operator==(const Share&) const = default;
};

// The tasks of one priority.
class QueueLevel {
 public:
  bool empty() const { return size_ == 0; }
  std::uint32_t size() const { return size_; }
  // Must not be empty.
  Task* front() const { return lanes_[lanes_.size() == 1 ? 0 : active_.front()].tasks.front(); }
  void push_back(Task& task, const std::vector<Share>& shares) {
    Lane* only = lanes_.size() == 1 ? &lanes_.front() : nullptr;
    if (!only || only->uid != task.uid || only->tasks.empty())
      return enter(task, shares).tasks.push_back(task);
    ++size_;
    only->tasks.push_back(task);
  }
  void push_sorted(Task& task, Task* near, std::uint32_t steps_max, const std::vector<Share>& shares);
  // `started`: its user has had one more.
  void remove(Task& task, bool started);
  void set_shares(const std::vector<Share>& shares);
  template <class Visit>
  void each(Visit visit) const {
    for (const Lane& lane : lanes_)
      for (const Task* task = lane.tasks.front(); task; task = task->next) visit(*task);
  }

 private:
  struct Lane {
    std::uint32_t uid = 0;
    std::uint32_t stride = 0;
    std::uint64_t mark = 0;
    std::size_t place = 0;  // in active_, while it is not empty
    TaskList tasks;
  };
  Lane& lane(std::uint32_t uid, const std::vector<Share>& shares);
  Lane& enter(const Task& task, const std::vector<Share>& shares);
  bool before(std::size_t a, std::size_t b) const;
  void put(std::size_t place, std::size_t lane);
  void rise(std::size_t place);
  void sink(std::size_t place);
  void deactivate(std::size_t lane);

  std::vector<Lane> lanes_;
  std::unordered_map<std::uint32_t, std::size_t> index_;  // by uid, where there are several
  std::vector<std::size_t> active_;                       // a heap of the lanes that are not empty
  std::uint64_t mark_ = 0;                                // of the last start
  std::uint32_t size_ = 0;
};

class Queue {
 public:
  bool empty() const { return size_ == 0; }
  std::uint32_t size() const { return size_; }
  // What starts next; null if empty.
  Task* front() const {
    if (size_ == 0) return nullptr;
    return levels_.size() == 1 ? levels_.begin()->second.front() : best();
  }
  void push_back(Task& task) { enter(task).push_back(task, shares_); }
  // For a task that was at the front before: by when it was queued, then by its number. Its place is looked
  // for from `near`, if that is a task that is in the queue, and `steps_max` others at most stay before it.
  void push_sorted(Task& task, Task* near, std::uint32_t steps_max = UINT32_MAX) {
    enter(task).push_sorted(task, near, steps_max, shares_);
  }
  void remove(Task& task) { remove(task, false); }
  void take(Task& task) { remove(task, true); }  // it starts
  // Nothing in here was queued earlier.
  Time oldest() const { return oldest_; }
  // Would the first start before the second, if they were of one user?
  bool before(const Task& a, const Task& b) const;
  void configure(Duration ageing, const std::vector<Share>& shares);

  // Every task, by priority and user; within them in the order they would start.
  template <class Visit>
  void each(Visit visit) const {
    for (const auto& [priority, level] : levels_) level.each(visit);
  }

 private:
  Task* best() const;
  using Levels = std::map<std::int32_t, QueueLevel, std::greater<>>;
  QueueLevel& enter(const Task& task) {
    if (task.queued_at < oldest_) oldest_ = task.queued_at;
    ++size_;
    if (levels_.size() == 1 && levels_.begin()->first == task.priority) return levels_.begin()->second;
    return levels_[task.priority];
  }
  void remove(Task& task, bool started);
  // In nanoseconds. As doubles: the largest priorities times days are beyond 64 bits, and this is exact
  // enough.
  double place(const Task& task) const;

  Levels levels_;
  std::uint32_t size_ = 0;
  Duration ageing_ = ageing_default;
  std::vector<Share> shares_;
  Time oldest_ = Time::max();
};

}  // namespace poold::core
