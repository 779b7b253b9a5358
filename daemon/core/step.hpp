// What follows from what happened: a Step collects it, the engine (or the simulator) performs it.
//
// `now` promises nothing to anybody and is performed at once. `promises` tell somebody that something is so,
// and are performed after the commit of the turn. `writes` is what has to be committed: the tasks of durable
// pools whose lasting state has changed, other than by their end, which their Finished says.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "daemon/core/task.hpp"
#include "daemon/core/types.hpp"

namespace poold::core {

// Ask the supervisor for a process in this slot.
struct StartWorker {
  PoolIndex pool = 0;
  std::uint32_t slot = 0;
};
// A signal for the worker process; SIGKILL takes its session along.
struct SignalWorker {
  WorkerRef worker;
  int signal = 0;
};
// Tell the worker to finish what it has and exit.
struct StopWorker {
  WorkerRef worker;
};
struct ReturnTasks {
  WorkerRef worker;
  std::vector<Sequence> tasks;
};
struct CancelAttempt {
  WorkerRef worker;
  Sequence task = 0;
  std::uint32_t attempt = 0;
  bool timed_out = false;  // nobody asked for it: its time is over
  Duration grace{};        // before it is killed
};
struct SignalAttempt {
  WorkerRef worker;
  Sequence task = 0;
  std::uint32_t attempt = 0;
  int signal = 0;
};
// For the log: a pool could not start a worker and waits.
struct PoolThrottled {
  PoolIndex pool = 0;
  Duration delay{};
};
struct PoolHealed {
  PoolIndex pool = 0;
};
// Why a worker is ended by us before its time; for the log.
struct WorkerCondemned {
  WorkerRef worker;
  std::string reason;
};
// After StopAll: no task and no process is left.
struct StopComplete {};

using Effect = std::variant<StartWorker, SignalWorker, StopWorker, ReturnTasks, CancelAttempt, SignalAttempt,
                            PoolThrottled, PoolHealed, WorkerCondemned, StopComplete>;

struct Accepted {
  TaskId id;
  ClientToken client = 0;
  std::uint64_t tag = 0;
  PoolIndex pool = 0;
  bool duplicate = false;  // the key was known: `id` is the earlier task, nothing was queued
};
enum class Refusal : std::uint8_t {
  queue_full,
  user_full,
  pool_draining,
  pool_removed,
  key_reused,
  group_closed,   // somebody waits for its end
  group_unknown,  // to be waited for, and no task of it is known
  stopping,
  store_trouble,  // said by the engine alone
};
struct Refused {
  ClientToken client = 0;
  std::uint64_t tag = 0;
  Refusal refusal = Refusal::queue_full;
  PoolIndex pool = 0;
};
struct Dispatch {
  WorkerRef worker;
  Sequence task = 0;
};
// The task left the core.
struct Finished {
  Task task;
  OutcomeKind kind = OutcomeKind::unspecified;
  std::string body;     // what the worker reported; empty where no worker did
  int worker_code = 0;  // WORKER_LOST: exit code or signal
  bool worker_signaled = false;
  Time ended_at;
};
// An attempt ended and will be repeated, or (kind unspecified) was taken back before it started.
struct AttemptEnded {
  Sequence task = 0;
  std::uint32_t attempt = 0;
  OutcomeKind kind = OutcomeKind::unspecified;
  PoolIndex pool = 0;
};

using Promise = std::variant<Accepted, Refused, Dispatch, Finished, AttemptEnded>;

struct Step {
  std::vector<Effect> now;
  std::vector<Promise> promises;
  std::vector<Sequence> writes;
  void clear() {
    now.clear();
    promises.clear();
    writes.clear();
  }
  bool empty() const { return now.empty() && promises.empty() && writes.empty(); }
};

}  // namespace poold::core
