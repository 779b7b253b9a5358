#include "daemon/engine/control/shared_payloads.hpp"

#include "common/frame.hpp"
#include "common/memory_socket.hpp"
#include "common/sealed_memory.hpp"

namespace poold::engine {
namespace {

// What a task or a result has beside the payload must fit, too.
constexpr std::uint64_t copied_max = frame_payload_max - 64 * 1024;

}  // namespace

bool copy_payload(const FileDescriptor& memory, v1::Payload& payload) {
  if (payload.shared_size() > copied_max) return false;
  auto bytes = read_all(memory.get(), copied_max);
  if (!bytes) return false;
  payload.set_data(std::move(*bytes));
  payload.clear_shared_size();
  return true;
}

std::optional<ConnectError> take_argument(Backend& backend, v1::TaskSpec& spec, FileDescriptor memory,
                                          std::uint32_t uid, std::shared_ptr<TaskMemory>& kept) {
  v1::Payload& payload = *spec.mutable_function()->mutable_payload();
  const std::uint64_t size = payload.shared_size();
  if (std::string complaint = complaint_about_memory(memory, size, shared_size_max); !complaint.empty())
    return ConnectError{Code::invalid_argument, "function.payload: " + complaint};
  if (!payload.data().empty())
    return ConnectError{Code::invalid_argument, "function.payload: either data or sharedSize"};
  const std::string name = spec.pool().empty() ? "default" : spec.pool();
  const auto pool = backend.state().pool_names.find(name);
  if (pool == backend.state().pool_names.end() || !backend.shares_memory(pool->second)) {
    if (copy_payload(memory, payload)) return std::nullopt;
    return ConnectError{Code::resource_exhausted,
                        "function.payload: " + std::to_string(size) + " bytes; pool " + quoted(name) +
                            " takes at most " + std::to_string(copied_max) +
                            " (shared_memory: true in its configuration changes that)"};
  }
  if (!spec.key().empty())
    return ConnectError{Code::invalid_argument,
                        "key: not with a payload in shared memory, whose bytes are not compared"};
  auto held = backend.memory_ledger().hold(std::move(memory), size, uid);
  if (const auto* complaint = std::get_if<std::string>(&held))
    return ConnectError{Code::resource_exhausted, *complaint};
  kept = std::make_shared<TaskMemory>();
  kept->argument = std::move(std::get<std::shared_ptr<SharedPayload>>(held));
  kept->had_argument = true;
  return std::nullopt;
}

bool argument_is_gone(const core::Task& task) {
  const TaskMemory* memory = memory_of(task);
  return memory && memory->had_argument && !memory->argument;
}

ConnectError memory_complaint(std::uint64_t size, bool delivered) {
  const std::string what = "the result has " + std::to_string(size) + " bytes in shared memory";
  if (delivered)
    return {Code::failed_precondition, what + " and was given to the stream that submitted the task"};
  return {Code::resource_exhausted,
          what + ": it is given to a stream that takes shared memory (StreamHello.shared_memory)"};
}

void show_shared_result(const Record& record, bool copy, v1::Outcome& outcome) {
  const std::uint64_t size = outcome.payload().shared_size();
  if (size == 0) return;
  const TaskMemory* memory = memory_of(record.task);
  const bool here = memory && memory->result;
  if (here && copy && copy_payload(memory->result->memory(), *outcome.mutable_payload())) return;
  outcome.mutable_error()->set_type("SharedMemory");
  outcome.mutable_error()->set_message(memory_complaint(size, !here).message);
}

}  // namespace poold::engine
