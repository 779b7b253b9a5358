// Payloads in shared memory between workers and their tasks.
#include "common/memory_socket.hpp"
#include "common/sealed_memory.hpp"
#include "daemon/engine/app/engine.hpp"
#include "daemon/engine/control/shared_payloads.hpp"

namespace poold::engine {
namespace {

v1::Outcome failed(v1::Outcome::Kind kind, const std::string& message) {
  v1::Outcome outcome;
  outcome.set_kind(kind);
  outcome.mutable_error()->set_type("SharedMemory");
  outcome.mutable_error()->set_message(message);
  return outcome;
}

}  // namespace

void Engine::dispatch_with_memory(WorkerLink& link, const core::Task& task,
                                  const std::shared_ptr<SharedPayload>& argument,
                                  const OutgoingTask& outgoing) {
  const std::shared_ptr<const FileDescriptor> memory(argument, &argument->memory());
  if (link.takes_memory() && link.send_memory({task.sequence(), task.attempt}, memory))
    return link.send_task(outgoing);
  v1::TaskSpec spec;
  spec.ParseFromString(task.spec);
  if (!link.takes_memory() && copy_payload(*memory, *spec.mutable_function()->mutable_payload())) {
    const std::string bytes = spec.SerializeAsString();
    OutgoingTask copied = outgoing;
    copied.spec = bytes;
    return link.send_task(copied);
  }
  const std::string what =
      "the payload has " + std::to_string(argument->size()) + " bytes in shared memory, ";
  const v1::Outcome outcome =
      failed(v1::Outcome::REJECTED, what + (link.takes_memory() ? "which could not be sent to the worker"
                                                                : "which the worker does not take"));
  post(core::WorkerResult{link.worker(), task.sequence(), task.attempt, core::OutcomeKind::rejected, 0,
                          outcome.SerializeAsString()});
}

void Engine::take_result_memory(const core::WorkerRef& worker, const v1::WorkerResult& result,
                                core::WorkerResult& event) {
  WorkerLink* link = find_link(worker);
  FileDescriptor memory = link ? link->receive_memory({result.task(), result.attempt()}) : FileDescriptor();
  core::Task* task = core_.find_live(event.task);
  if (!task || task->attempt != event.attempt || task->slot != worker.slot ||
      task->generation != worker.generation || task->pool != worker.pool)
    return;  // nobody waits for it any more
  const std::uint64_t size = result.outcome().payload().shared_size();
  std::string complaint =
      memory.valid() ? complaint_about_memory(memory, size, shared_size_max) : "the worker did not send it";
  if (complaint.empty()) {
    auto held = memory_ledger_->hold(std::move(memory), size, task->uid);
    if (auto* payload = std::get_if<std::shared_ptr<SharedPayload>>(&held)) {
      give_memory(*task).result = std::move(*payload);
      return;
    }
    complaint = std::get<std::string>(held);
  }
  event.kind = core::OutcomeKind::raised;
  event.body = failed(v1::Outcome::RAISED, "the result is lost: " + complaint).SerializeAsString();
}

void Engine::settle_memory(const Record& record) {
  TaskMemory* memory = memory_of(record.task);
  if (!memory) return;
  memory->argument.reset();
  // A cancelled task has no result, whatever its worker said.
  if (record.task.state == core::TaskState::cancelled || memory_ledger_->is_gone(record.task.client))
    memory->result.reset();
}

}  // namespace poold::engine
