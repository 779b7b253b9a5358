// The one timer of each task that has one, the next first. Unlike State::timers these can be taken back: most
// time limits are never reached, and a day's worth of them must not pile up.
#pragma once

#include <cstddef>
#include <vector>

#include "daemon/core/task.hpp"

namespace poold::core {

class TaskTimers {
 public:
  Time next() const { return heap_.empty() ? Time::max() : heap_.front()->options->due; }
  Task& first() const { return *heap_.front(); }
  std::size_t size() const { return heap_.size(); }
  // The task has options. Time::max(): no timer.
  void set(Task& task, Time due);
  // Its place in the heap is what its options say.
  bool holds(const Task& task) const;

 private:
  static bool before(const Task& a, const Task& b);
  void put(std::size_t place, Task* task);
  void rise(std::size_t place);
  void sink(std::size_t place);

  std::vector<Task*> heap_;
};

}  // namespace poold::core
