#include "daemon/core/task_timers.hpp"

namespace poold::core {

// Of two that are due together the older task comes first, so that a run is always the same.
bool TaskTimers::before(const Task& a, const Task& b) {
  if (a.options->due != b.options->due) return a.options->due < b.options->due;
  return a.sequence() < b.sequence();
}

bool TaskTimers::holds(const Task& task) const {
  const std::size_t place = task.options->due_place;
  return place < heap_.size() && heap_[place] == &task;
}

void TaskTimers::put(std::size_t place, Task* task) {
  heap_[place] = task;
  task->options->due_place = place;
}

void TaskTimers::rise(std::size_t place) {
  Task* task = heap_[place];
  while (place > 0) {
    const std::size_t above = (place - 1) / 2;
    if (!before(*task, *heap_[above])) break;
    put(place, heap_[above]);
    place = above;
  }
  put(place, task);
}

void TaskTimers::sink(std::size_t place) {
  Task* task = heap_[place];
  for (;;) {
    std::size_t below = 2 * place + 1;
    if (below >= heap_.size()) break;
    if (below + 1 < heap_.size() && before(*heap_[below + 1], *heap_[below])) ++below;
    if (!before(*heap_[below], *task)) break;
    put(place, heap_[below]);
    place = below;
  }
  put(place, task);
}

void TaskTimers::set(Task& task, Time due) {
  Time& known = task.options->due;
  if (known == due) return;
  const bool was_there = known != Time::max();
  known = due;
  std::size_t place = was_there ? task.options->due_place : heap_.size();
  if (due == Time::max()) {
    Task* last = heap_.back();
    heap_.pop_back();
    if (last == &task) return;
    put(place, last);
    rise(place);
    return sink(last->options->due_place);
  }
  if (!was_there) heap_.push_back(&task);
  put(place, &task);
  rise(place);
  sink(task.options->due_place);
}

}  // namespace poold::core
