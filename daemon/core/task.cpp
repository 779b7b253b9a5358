#include "daemon/core/task.hpp"

#include <utility>

namespace poold::core {

TaskOptions::~TaskOptions() = default;

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

Task& TaskTable::put_back(Task&& task) {
  Task& fresh = insert(task.id);
  fresh = std::move(task);
  return fresh;
}

Task TaskTable::take(Task& task) {
  index_.erase(task.sequence());
  Task taken = std::move(task);
  task = Task{};
  free_.push_back(&task);
  return taken;
}

}  // namespace poold::core
