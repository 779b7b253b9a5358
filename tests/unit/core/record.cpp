#include "tests/unit/core/record.hpp"

#include <cstdlib>

#include "common/overloaded.hpp"

namespace poold::core {
namespace {

std::string text(const State& state, WorkerRef worker) {
  return state.pools[worker.pool].settings.name + "/" + std::to_string(worker.slot) + "." +
         std::to_string(worker.generation);
}

std::string text(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) + "ms";
}

std::string text(Refusal refusal) {
  switch (refusal) {
    case Refusal::queue_full:
      return "QUEUE_FULL";
    case Refusal::user_full:
      return "USER_FULL";
    case Refusal::pool_draining:
      return "POOL_DRAINING";
    case Refusal::pool_removed:
      return "POOL_REMOVED";
    case Refusal::key_reused:
      return "KEY_REUSED";
    case Refusal::group_closed:
      return "GROUP_CLOSED";
    case Refusal::group_unknown:
      return "GROUP_UNKNOWN";
    case Refusal::stopping:
      return "STOPPING";
    case Refusal::store_trouble:
      return "store trouble";
  }
  std::abort();
}

std::string attempt_text(std::uint32_t attempt) {
  return attempt > 1 ? " attempt " + std::to_string(attempt) : "";
}

std::string finished_text(const Finished& e) {
  std::string text = std::to_string(e.task.sequence()) + " " + std::string(name(e.task.state));
  if (e.kind != OutcomeKind::cancelled) text += " " + std::string(name(e.kind));
  text += attempt_text(e.task.attempt);
  if (!e.body.empty()) text += " '" + e.body + "'";
  if (e.worker_code)
    text += (e.worker_signaled ? " by signal " : " with code ") + std::to_string(e.worker_code);
  return text;
}

std::string attempt_ended_text(const AttemptEnded& e) {
  const std::string number = std::to_string(e.task);
  if (e.kind == OutcomeKind::unspecified) return number + " back" + attempt_text(e.attempt);
  return number + " again after " + std::string(name(e.kind)) + attempt_text(e.attempt);
}

std::string accepted_text(const Accepted& e) {
  return std::to_string(sequence_of(e.id)) + " accepted" + (e.duplicate ? " before" : "");
}

}  // namespace

std::string line(const State& state, const Effect& effect) {
  const auto pool_name = [&](PoolIndex index) { return state.pools[index].settings.name; };
  return std::visit(
      Overloaded{
          [&](const StartWorker& e) { return "start " + pool_name(e.pool) + "/" + std::to_string(e.slot); },
          [&](const SignalWorker& e) {
            return (e.signal == 9 ? "kill " : "signal " + std::to_string(e.signal) + " ") +
                   text(state, e.worker);
          },
          [&](const StopWorker& e) { return "stop " + text(state, e.worker); },
          [&](const ReturnTasks& e) {
            std::string numbers;
            for (const Sequence number : e.tasks) numbers += " " + std::to_string(number);
            return "return " + text(state, e.worker) + ":" + numbers;
          },
          [&](const CancelAttempt& e) {
            return (e.timed_out ? "time out " : "cancel ") + std::to_string(e.task) +
                   attempt_text(e.attempt) + " on " + text(state, e.worker);
          },
          [&](const SignalAttempt& e) {
            return "signal " + std::to_string(e.signal) + " to " + std::to_string(e.task) + " on " +
                   text(state, e.worker);
          },
          [&](const PoolThrottled& e) { return "throttled " + pool_name(e.pool) + " for " + text(e.delay); },
          [&](const PoolHealed& e) { return "healed " + pool_name(e.pool); },
          [&](const WorkerCondemned& e) { return "condemned " + text(state, e.worker) + ": " + e.reason; },
          [&](const StopComplete&) { return std::string("stop complete"); },
      },
      effect);
}

std::string line(const State& state, const Promise& promise) {
  return std::visit(
      Overloaded{
          [&](const Accepted& e) { return accepted_text(e); },
          [&](const Refused& e) { return "refused: " + text(e.refusal); },
          [&](const Dispatch& e) { return std::to_string(e.task) + " -> " + text(state, e.worker); },
          [&](const Finished& e) { return finished_text(e); },
          [&](const AttemptEnded& e) { return attempt_ended_text(e); },
      },
      promise);
}

}  // namespace poold::core
