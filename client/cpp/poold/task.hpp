// Tasks as a client sees them: what to run, how it stands, how it ended. Plain values; client.hpp and
// stream.hpp send and receive them. The words and limits are those of common/proto/poold/v1/task.proto.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "error.hpp"
#include "shared_payload.hpp"
#include "value.hpp"

namespace poold {

using Labels = std::map<std::string, std::string>;
using Time = std::chrono::system_clock::time_point;

// Opaque bytes with a MIME type, such as "application/octet-stream".
struct Payload {
  std::string content_type;
  std::string data;
  std::optional<SharedPayload> shared = {};  // in place of data
  bool operator==(const Payload&) const = default;
};

// A program and its arguments, run without a shell.
struct Command {
  std::vector<std::string> argv;           // any bytes but zero
  std::map<std::string, std::string> env;  // in addition to the pool's
  std::string cwd;                         // absolute; empty: the pool's
  std::optional<std::string> stdin_data;   // absent: /dev/null
  bool operator==(const Command&) const = default;
};

// A function that the pool's workers know by name. Either args and kwargs, or a payload.
struct Function {
  std::string name;
  Value::List args;
  Value::Map kwargs;
  std::optional<Payload> payload;
  bool operator==(const Function&) const = default;
};

struct SubmitOptions {
  std::string pool;  // empty: "default"
  std::string name;  // empty: the program's or the function's is shown
  // Idempotency key: the same key with the same payload is the same task; with another payload
  // `already_exists`.
  std::string key;
  std::int32_t priority = 0;         // higher runs first
  Labels labels;                     // at most 64
  std::uint32_t attempts = 0;        // 0: 1
  std::uint32_t crash_attempts = 0;  // 0: the pool's

  // When it may run; no time at all stands for nothing asked.
  std::chrono::nanoseconds delay{};         // not before so long from now ...
  std::optional<Time> at;                   // ... or not before this time
  std::chrono::nanoseconds time_to_live{};  // not started by then: EXPIRED
  std::vector<std::string> after;           // ids of tasks that have to succeed first
  std::vector<std::string> after_any;       // ids of tasks that have to end first, however
  bool release_on_parent_failure = false;  // where a task of `after` fails: runs all the same, else CANCELLED
  bool hold = false;                       // does not start before it is released
  std::string group;                       // of this user's, that it belongs to
  std::string after_group;     // whose tasks have to end first, however; until then that takes no more
  bool wait_for_room = false;  // where its pool is full: is accepted when there is room, else refused at once
  // Tokens of named limits that it takes while it runs; a limit that nobody has set has one.
  std::map<std::string, std::uint32_t> limits;

  // What follows when it fails.
  std::chrono::nanoseconds backoff{};      // before the second attempt, then doubled
  std::chrono::nanoseconds backoff_max{};  // 0: an hour
  std::vector<std::string> retry_on;       // "RAISED", "TIMED_OUT", "75" (an exit code); empty: every failure
  std::chrono::nanoseconds timeout{};      // of one attempt
  std::optional<std::chrono::nanoseconds> grace;  // from the request to end to SIGKILL; absent: the pool's
  std::chrono::nanoseconds deadline{};            // of all attempts together
};

// A request for work, encoded once: to send the same one many times costs a copy of its bytes. Throws
// std::invalid_argument, naming the field, for what the protocol cannot carry (text that is not UTF-8,
// numbers that are not finite, more than 16 MiB).
class TaskSpec {
 public:
  TaskSpec(const Command& command, const SubmitOptions& options = {});
  TaskSpec(const Function& function, const SubmitOptions& options = {});
  // The encoded poold.v1.TaskSpec.
  std::string_view bytes() const { return bytes_; }
  bool waits_for_room() const { return waits_for_room_; }
  // What travels beside it, over a stream.
  const std::optional<SharedPayload>& shared() const { return shared_; }

 private:
  std::string bytes_;
  bool waits_for_room_ = false;
  std::optional<SharedPayload> shared_;
};

enum class TaskState { unspecified, waiting, queued, running, succeeded, failed, cancelled };
std::string_view to_string(TaskState state);  // "QUEUED"
inline bool has_ended(TaskState state) { return state >= TaskState::succeeded; }

// What an attempt of a command cost.
struct Usage {
  std::chrono::nanoseconds wall{0};
  std::chrono::nanoseconds user{0};
  std::chrono::nanoseconds system{0};
  std::uint32_t max_rss_kib = 0;
  bool operator==(const Usage&) const = default;
};

// What went wrong: an exception's type or the name of an errno, and words.
struct TaskError {
  std::string type;
  std::string message;
  std::string traceback;
  bool operator==(const TaskError&) const = default;
};

// How a task ended. Which fields are set follows from the kind, see task.proto.
struct Outcome {
  enum class Kind {
    unspecified,
    exited,
    returned,
    raised,
    signaled,
    timed_out,
    out_of_memory,
    worker_lost,
    cancelled,
    expired,
    rejected,
  };
  Kind kind = Kind::unspecified;
  std::optional<std::int32_t> exit_code;
  std::optional<std::int32_t> signal;
  bool core_dumped = false;
  Value value;
  std::optional<Payload> payload;
  std::optional<TaskError> error;
  std::optional<Usage> usage;

  bool succeeded() const {
    return kind == Kind::returned || (kind == Kind::exited && exit_code.value_or(0) == 0);
  }
  bool operator==(const Outcome&) const = default;
};
std::string_view to_string(Outcome::Kind kind);  // "EXITED"
// One line for people: "exited with 7", "ValueError: no such thing", "worker lost (signal 11)".
std::string describe(const Outcome& outcome);

// Where an attempt runs or ran.
struct Placement {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::int32_t pid = 0;
};

// A task as the daemon knows it.
struct TaskInfo {
  std::string id;
  std::string pool;
  std::string name;
  TaskState state = TaskState::unspecified;
  std::uint32_t attempt = 0;  // from 1; 0 before the first
  std::uint32_t crashes = 0;  // attempts that lost their worker
  std::optional<Outcome> outcome;
  std::int32_t priority = 0;
  std::string key;
  Labels labels;
  std::optional<Time> submitted_at;
  std::optional<Time> started_at;
  std::optional<Time> ended_at;
  std::uint32_t uid = 0;
  bool cancelling = false;
  std::variant<std::monostate, Command, Function> work;
  std::optional<Placement> placement;
  std::string group;
};

// Tasks of one user under one name, by state. Those that have ended are counted while they are retained.
struct GroupInfo {
  std::string name;
  std::uint32_t uid = 0;
  std::uint32_t waiting = 0, queued = 0, running = 0;
  std::uint32_t succeeded = 0, failed = 0, cancelled = 0;
  bool closed = false;  // a task waits for its end

  std::uint32_t unfinished() const { return waiting + queued + running; }
};

// Which tasks a call is about: all conditions must match; the entries of a list are alternatives. Empty:
// every task.
struct Selector {
  std::vector<std::string> ids;
  std::vector<std::string> pools;
  std::vector<TaskState> states;
  std::vector<std::string> names;
  Labels labels;
  std::optional<Time> since;  // submitted at or after
  std::optional<Time> until;  // submitted before
  std::vector<std::string> groups;
};

// The task ended, but not well. The code is `canceled`, `deadline_exceeded`, `resource_exhausted` (memory),
// `invalid_argument` (rejected), else `unknown`.
class RemoteError : public Error {
 public:
  explicit RemoteError(Outcome outcome);
  const Outcome& outcome() const { return *outcome_; }

 private:
  std::shared_ptr<const Outcome> outcome_;  // shared, so that copying the exception cannot throw
};

}  // namespace poold
