#include "daemon/core/types.hpp"

#include <cstdlib>

namespace poold::core {

std::string_view name(TaskState state) {
  switch (state) {
    case TaskState::waiting:
      return "WAITING";
    case TaskState::queued:
      return "QUEUED";
    case TaskState::running:
      return "RUNNING";
    case TaskState::succeeded:
      return "SUCCEEDED";
    case TaskState::failed:
      return "FAILED";
    case TaskState::cancelled:
      return "CANCELLED";
  }
  std::abort();
}

std::string_view name(PoolState state) {
  switch (state) {
    case PoolState::starting:
      return "STARTING";
    case PoolState::ready:
      return "READY";
    case PoolState::paused:
      return "PAUSED";
    case PoolState::draining:
      return "DRAINING";
    case PoolState::throttled:
      return "THROTTLED";
  }
  std::abort();
}

std::string_view name(WorkerState state) {
  switch (state) {
    case WorkerState::vacant:
      return "VACANT";
    case WorkerState::starting:
      return "STARTING";
    case WorkerState::idle:
      return "IDLE";
    case WorkerState::busy:
      return "BUSY";
    case WorkerState::retiring:
      return "RETIRING";
    case WorkerState::stopping:
      return "STOPPING";
  }
  std::abort();
}

std::string_view name(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::unspecified:
      return "KIND_UNSPECIFIED";
    case OutcomeKind::exited:
      return "EXITED";
    case OutcomeKind::returned:
      return "RETURNED";
    case OutcomeKind::raised:
      return "RAISED";
    case OutcomeKind::signaled:
      return "SIGNALED";
    case OutcomeKind::timed_out:
      return "TIMED_OUT";
    case OutcomeKind::out_of_memory:
      return "OUT_OF_MEMORY";
    case OutcomeKind::worker_lost:
      return "WORKER_LOST";
    case OutcomeKind::cancelled:
      return "CANCELLED";
    case OutcomeKind::expired:
      return "EXPIRED";
    case OutcomeKind::rejected:
      return "REJECTED";
  }
  std::abort();
}

}  // namespace poold::core
