// What can happen. Each is told to Core::handle once, with the time, and answered by effects in a Step.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "daemon/core/limit.hpp"
#include "daemon/core/pool.hpp"
#include "daemon/core/types.hpp"

namespace poold::core {

// A key's task, while it is retained, and a digest of what was submitted with the key.
struct KeyEntry {
  TaskId id;
  std::uint64_t digest = 0;
};

// From clients.

struct Submit {
  TaskId id;  // new; its sequence is higher than any before
  PoolIndex pool = 0;
  std::int32_t priority = 0;
  std::uint32_t attempts_max = 1;
  std::uint32_t crash_attempts_max = 0;  // 0: the pool's
  std::uint32_t uid = 0;
  std::string spec;
  std::unique_ptr<std::string> key;      // with its scope; null: none
  std::uint64_t digest = 0;              // of the payload; looked at only beside a key
  std::unique_ptr<TaskOptions> options;  // null: none
  ClientToken client = 0;
  std::uint64_t tag = 0;
};
struct Cancel {
  Sequence task = 0;
};
struct SignalTask {
  Sequence task = 0;
  int signal = 0;
};
// The task is not to start until it is released.
struct Hold {
  Sequence task = 0;
};
struct Release {
  Sequence task = 0;
};
// An ended task, as Finished said it, is to run again under its id. Whoever gives it has looked that
// refusal_of_retry() has nothing against it, and keeps no copy.
struct Retry {
  Task task;
};
// A task that had not ended when an earlier engine did, as that one wrote it: of a durable pool, or of any
// where the engine has handed over. A task that
// was running goes on if its worker has been adopted; else its attempt is behind it, charged to nobody.
struct Recover {
  Task task;
  std::uint64_t digest = 0;  // of its payload, if it has a key
};
// An ended task that an earlier engine left in the store has this key.
struct RememberKey {
  std::string key;
  KeyEntry entry;
};
// An ended task is not retained any longer: its key may be used anew.
struct ForgetKey {
  std::string key;
  TaskId id;
};

// An ended task that an earlier engine left in the store belongs to this group.
struct RememberMember {
  std::uint32_t uid = 0;
  std::string group;
  TaskState state = TaskState::succeeded;
};
// An ended task is not retained any longer, and its group counts it no more.
struct ForgetMember {
  std::uint32_t uid = 0;
  std::string group;
  TaskState state = TaskState::succeeded;
};

// From operators.

// All pools as they are to be from now on; pools not named are removed when they have become empty.
struct Configure {
  std::vector<PoolSettings> pools;
  std::vector<LimitSettings> limits;
  std::uint32_t workers_max = 0;  // processes of all pools together; 0: no limit
};
// A pool beside those of Configure, which names it from then on; and its end.
struct AddPool {
  PoolSettings pool;
};
struct RemovePool {
  PoolIndex pool = 0;
};
struct SetLimit {
  LimitSettings limit;
};
// Back to what it is when nobody has set it.
struct RemoveLimit {
  std::string name;
};
struct ScalePool {
  PoolIndex pool = 0;
  std::uint32_t workers = 0;
};
struct PausePool {
  PoolIndex pool = 0;
  std::uint32_t uid = 0;  // who wants it, for explain
};
struct DrainPool {
  PoolIndex pool = 0;
};
struct ResumePool {
  PoolIndex pool = 0;
};
struct RecyclePool {
  PoolIndex pool = 0;
};
// Take nothing new; what runs may go on until the time-out, then is cancelled.
struct StopAll {
  Duration timeout{};
};

// From the supervisor and the workers.

struct WorkerStarted {
  WorkerRef worker;
  std::int32_t pid = 0;
};
struct WorkerStartFailed {
  PoolIndex pool = 0;
  std::uint32_t slot = 0;
  StartFailure failure;
};
struct WorkerHello {
  WorkerRef worker;
  bool one_at_a_time = false;  // nothing is to be sent ahead to it
};
// A worker that an earlier engine left alive. Before any Recover, so that the tasks it runs find it.
struct WorkerAdopted {
  WorkerRef worker;
  std::int32_t pid = 0;
};
// It has its new pipes, and says for which tasks it owes an answer: those with a result that it will now send
// again, then the one that runs, then those that wait. What it does not name never reached it.
struct WorkerSaidAgain {
  WorkerRef worker;
  std::vector<Sequence> tasks;
  // What only an engine can know that has handed the worker over, and said this in its place.
  bool one_at_a_time = false;
  bool outdated = false;
  bool retiring = false;
  std::uint64_t finished = 0;
  std::vector<Sequence> returning;  // it was asked to give these back, and has not answered
};
// The process and its session are gone and its pipe has been read to its end.
struct WorkerExited {
  WorkerRef worker;
  bool signaled = false;
  int code = 0;           // exit code, or signal
  std::string complaint;  // why it could not work, in its own words; empty: it said nothing
};
// It closed its result pipe, or sent what no worker may send; the reason is for people.
struct WorkerBroken {
  WorkerRef worker;
  std::string reason;
  bool only_closed = false;  // nothing wrong was said: it gets a moment to exit by itself
};
struct WorkerResult {
  WorkerRef worker;
  Sequence task = 0;
  std::uint32_t attempt = 0;
  OutcomeKind kind = OutcomeKind::unspecified;
  int exit_code = 0;  // of EXITED
  std::string body;   // the outcome as the client will see it; moved through, never looked into
};
struct WorkerReturned {
  WorkerRef worker;
  std::vector<Sequence> tasks;
};
// The attempt's log exists.
struct WorkerOutput {
  WorkerRef worker;
  Sequence task = 0;
  std::uint32_t attempt = 0;
};

// How much memory it has resident, in bytes.
struct WorkerMemory {
  WorkerRef worker;
  std::uint64_t bytes = 0;
};

// The clock has reached next_deadline().
struct TimePassed {};

using Event =
    std::variant<Submit, Cancel, SignalTask, Hold, Release, Retry, Recover, RememberKey, ForgetKey,
                 RememberMember, ForgetMember, Configure, AddPool, RemovePool, SetLimit, RemoveLimit,
                 ScalePool, PausePool, DrainPool, ResumePool, RecyclePool, StopAll, WorkerStarted,
                 WorkerStartFailed, WorkerHello, WorkerAdopted, WorkerSaidAgain, WorkerExited, WorkerBroken,
                 WorkerResult, WorkerReturned, WorkerOutput, WorkerMemory, TimePassed>;

}  // namespace poold::core
