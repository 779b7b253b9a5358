// Tasks as clients see them: the core's tables and the store's records as messages of the contract.
#pragma once

#include "common/attempt_log.hpp"
#include "daemon/engine/control/backend.hpp"
#include "poold/v1/task.pb.h"
#include "poold/v1/tasks.pb.h"

namespace poold::engine {

// A task wherever it is now: in the core or in the store. Both null: unknown.
struct Found {
  const core::Task* live = nullptr;
  const Record* ended = nullptr;

  const core::Task* task() const { return live ? live : ended ? &ended->task : nullptr; }
};
Found find_task(const Backend& backend, const TaskId& id);
Found find_task(const Backend& backend, core::Sequence sequence);

// Everybody who has to be told of its end has been: it may be taken from the store.
bool is_over(Backend& backend, const Record& record);

// `copy_shared`: a result in shared memory is shown as bytes, if a frame takes them.
void fill_task(const Backend& backend, const Found& found, v1::Task& message, bool copy_shared = false);
// What was asked for when it was submitted, without the work.
void fill_options(const core::Task& task, v1::TaskSpec& options);
// The outcome as it was decided, with what the worker reported beside it.
v1::Outcome outcome_of(const Record& record);
v1::Task::State state_of(core::TaskState state);
// One whose end is not on the disk yet has not ended.
v1::Task::State shown_state(const core::Task& task);
v1::Outcome::Kind kind_of(core::OutcomeKind kind);

// The task's name, or what is shown instead of one.
std::string shown_name(const v1::TaskSpec& spec);

// A piece of an attempt's log.
void fill_chunk(const AttemptLogReader::Piece& piece, v1::LogChunk& chunk);

// What is wrong with a selector: a pool that there never was is a slip of the finger, and no empty answer.
std::optional<ConnectError> complaint_about(const Backend& backend, const v1::Selector& selector);

// A selector, checked once and matched many times.
class TaskFilter {
 public:
  // An unparsable id matches nothing.
  TaskFilter(const Backend& backend, const v1::Selector& selector);
  bool matches(const core::Task& task) const;
  // Nobody else's tasks.
  void only_of(std::uint32_t uid) { uid_ = uid; }
  // Only tasks that have not ended can match.
  bool live_only() const { return live_only_; }

 private:
  const Backend& backend_;
  const v1::Selector& selector_;
  std::vector<core::PoolIndex> pools_;
  std::vector<TaskId> ids_;
  std::optional<std::int64_t> since_ns_;
  std::optional<std::int64_t> until_ns_;
  bool live_only_ = false;
  std::optional<std::uint32_t> uid_;
};

}  // namespace poold::engine
