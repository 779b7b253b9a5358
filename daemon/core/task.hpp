// A task that has not ended, and the table of all of them.
//
// A task is in exactly one place: queued or waiting in its pool, parked at a limit, or held by one worker.
// All are lists through the same two links, so that moving a task costs no memory. Ended tasks leave the
// table; they live in the store.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/core/sequence_index.hpp"
#include "daemon/core/task_options.hpp"
#include "daemon/core/types.hpp"

namespace poold::core {

struct Task {
  TaskId id;
  Time submitted_at{};
  Time started_at{};                     // start of the running attempt, else of the last one
  Time queued_at{};                      // when it was last put into its pool's queue
  std::string spec;                      // what to run; the core never looks inside
  std::unique_ptr<std::string> key;      // scope and idempotency key; most tasks have none
  std::unique_ptr<TaskOptions> options;  // most tasks have none
  ClientToken client = 0;                // whom to tell, and ...
  std::uint64_t tag = 0;                 // ... what it calls the task
  Task* previous = nullptr;
  Task* next = nullptr;
  PoolIndex pool = 0;
  std::int32_t priority = 0;
  std::uint32_t uid = 0;
  std::uint32_t slot = no_slot;       // while running
  Generation generation = 0;          // of the last attempt's worker
  std::uint32_t last_slot = no_slot;  // of the last attempt's worker
  std::int32_t last_pid = 0;
  std::uint32_t attempt = 0;    // attempts begun so far
  std::uint32_t failures = 0;   // attempts that ended by the task's own fault
  std::uint32_t crashes = 0;    // attempts whose worker died
  std::uint32_t uncharged = 0;  // attempts that ended by our doing: a stop, the loss of an engine
  std::uint32_t attempts_max = 1;
  std::uint32_t crash_attempts_max = 1;
  TaskState state = TaskState::queued;
  bool cancelling = false;   // a cancel was answered: whatever comes, the outcome is CANCELLED
  bool interrupted = false;  // the running attempt is being ended because the daemon stops
  bool watched = false;      // somebody besides `client` waits for its end
  bool has_log = false;      // the running or last attempt has written output
  bool had_log = false;      // some attempt has
  bool returning = false;    // was asked back from its worker
  bool withheld = false;     // of a durable pool: handed to its worker, but not sent before the commit
  bool stored = false;       // of a durable pool: what was submitted is in the store, or on its way there
  bool unsaved = false;      // of a durable pool: stands in Step::writes, or in a write that goes on

  Sequence sequence() const { return sequence_of(id); }
};

// A doubly linked list through Task's links; owns nothing.
class TaskList {
 public:
  bool empty() const { return first_ == nullptr; }
  std::uint32_t size() const { return size_; }
  Task* front() const { return first_; }
  Task* back() const { return last_; }
  void push_back(Task& task) {
    task.previous = last_;
    task.next = nullptr;
    (last_ ? last_->next : first_) = &task;
    last_ = &task;
    ++size_;
  }
  void push_front(Task& task) {
    task.previous = nullptr;
    task.next = first_;
    (first_ ? first_->previous : last_) = &task;
    first_ = &task;
    ++size_;
  }
  void insert_before(Task& next, Task& task) {
    task.previous = next.previous;
    task.next = &next;
    (next.previous ? next.previous->next : first_) = &task;
    next.previous = &task;
    ++size_;
  }
  void remove(Task& task) {
    (task.previous ? task.previous->next : first_) = task.next;
    (task.next ? task.next->previous : last_) = task.previous;
    task.previous = task.next = nullptr;
    --size_;
  }

 private:
  Task* first_ = nullptr;
  Task* last_ = nullptr;
  std::uint32_t size_ = 0;
};

// Tasks by sequence number. Addresses are stable.
class TaskTable {
 public:
  // The sequence must not be in the table.
  Task& insert(const TaskId& id);
  Task* find(Sequence sequence) { return index_.find(sequence); }
  const Task* find(Sequence sequence) const { return index_.find(sequence); }
  // By the whole id: null if only the sequence is the same.
  Task* find(const TaskId& id);
  // A task that was taken out comes back.
  Task& put_back(Task&& task);
  // Moves the task out and forgets it. It must be in no list.
  Task take(Task& task);
  std::size_t size() const { return index_.size(); }

  // Calls with every task, in no order, until `visit` returns false.
  template <class Visit>
  void each(Visit visit) const {
    for (const auto& chunk : chunks_)
      for (const Task& task : *chunk)
        if (task.id.low != 0 && !visit(task)) return;
  }

 private:
  static constexpr std::size_t chunk_size = 1024;
  using Chunk = std::vector<Task>;  // never resized; a task that is not in use has id 0

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<Task*> free_;
  SequenceIndex<Task> index_;
};

}  // namespace poold::core
