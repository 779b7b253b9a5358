#include "daemon/core/task.hpp"

#include <utility>

namespace poold::core {

void TaskList::push_back(Task& task) {
  task.previous = last_;
  task.next = nullptr;
  (last_ ? last_->next : first_) = &task;
  last_ = &task;
  ++size_;
}

void TaskList::push_front(Task& task) {
  task.previous = nullptr;
  task.next = first_;
  (first_ ? first_->previous : last_) = &task;
  first_ = &task;
  ++size_;
}

void TaskList::remove(Task& task) {
  (task.previous ? task.previous->next : first_) = task.next;
  (task.next ? task.next->previous : last_) = task.previous;
  task.previous = task.next = nullptr;
  --size_;
}

Task& TaskTable::insert(const TaskId& id) {
  if (free_.empty()) {
    auto chunk = std::make_unique<Chunk>(chunk_size);
    free_.reserve(chunk_size);
    for (std::size_t i = chunk_size; i-- > 0;) free_.push_back(&(*chunk)[i]);
    chunks_.push_back(std::move(chunk));
  }
  Task& task = *free_.back();
  index_.insert(sequence_of(id), &task);
  free_.pop_back();
  task.id = id;
  return task;
}

Task* TaskTable::find(const TaskId& id) {
  Task* task = find(sequence_of(id));
  return task && task->id == id ? task : nullptr;
}

Task TaskTable::take(Task& task) {
  index_.erase(task.sequence());
  Task taken = std::move(task);
  task = Task{};
  free_.push_back(&task);
  return taken;
}

}  // namespace poold::core
