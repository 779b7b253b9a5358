// The port behind which durable pools keep their tasks, and the schedules of such: what is written, what is
// read back, and what may go wrong. Used from one thread at a time, and allowed to block; writer.hpp gives it
// a thread.
//
// A task is two rows in one: what was submitted, written once, and how it stands, written whenever that
// changes. Times are nanoseconds of the wall clock. tests/conformance/store holds every store to the same
// promises.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "common/task_id.hpp"

namespace poold::engine {

// What was submitted.
struct StoredSubmission {
  TaskId id;
  std::string pool;
  std::uint32_t uid = 0;
  std::int32_t priority = 0;
  std::uint32_t attempts_max = 1;
  std::uint32_t crash_attempts_max = 1;
  std::int64_t submitted_ns = 0;
  std::string spec;
  std::optional<std::string> key;  // with its scope
  std::uint64_t digest = 0;        // of the payload; means nothing without a key
};

// How a task stands. Of one that was never touched there is none: it is queued, with no attempt.
struct StoredState {
  TaskId id;
  std::uint8_t state = 0;  // core::TaskState
  bool cancelling = false;
  bool had_log = false;
  std::uint32_t attempt = 0;
  std::uint32_t failures = 0;
  std::uint32_t crashes = 0;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::int32_t pid = 0;
  std::int64_t started_ns = 0;
  std::string options;  // internal.StoredOptions; empty: none
  // Of one that has ended.
  std::uint8_t kind = 0;  // core::OutcomeKind; 0: has not ended
  bool worker_signaled = false;
  std::int32_t worker_code = 0;
  std::int64_t ended_ns = 0;
  std::string body;  // what the worker reported

  bool ended() const { return kind != 0; }
};

// Nothing is kept of it any more.
struct StoredEnd {
  TaskId id;
};

// A schedule that somebody added; without content: it was removed.
struct StoredSchedule {
  std::string name;
  std::string content;  // internal.StoredSchedule
};

using StoreWrite = std::variant<StoredSubmission, StoredState, StoredEnd, StoredSchedule>;
using StoreBatch = std::vector<StoreWrite>;

struct StoredTask {
  StoredSubmission submission;
  std::optional<StoredState> state;
};

// What a store could not do. `text` says what and why, for people.
class StoreError : public std::runtime_error {
 public:
  enum class Kind {
    trouble,  // a full or failing disk, a lock: may heal by itself
    damaged,  // the file is not what it should be: nothing but a person can help
  };
  StoreError(Kind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

class DurableStore {
 public:
  virtual ~DurableStore() = default;

  // Everything there is, by number, which is the order of submission. Throws StoreError.
  virtual void load(const std::function<void(StoredTask&&)>& take) = 0;
  // By name.
  virtual std::vector<StoredSchedule> load_schedules() = 0;

  // All of them or none, in order, and on the disk when this returns. When it throws StoreError, either is
  // possible; the same batch may be given again, and has then the same effect as once.
  virtual void apply(const std::vector<const StoreBatch*>& batches) = 0;
};

}  // namespace poold::engine
