#include "daemon/engine/store/task_memory.hpp"

#include <utility>

namespace poold::engine {

SharedPayload::SharedPayload(FileDescriptor memory, std::uint64_t size, std::uint32_t uid,
                             std::shared_ptr<MemoryLedger> ledger)
    : memory_(std::move(memory)), size_(size), uid_(uid), ledger_(std::move(ledger)) {}

SharedPayload::~SharedPayload() { ledger_->release(uid_, size_); }

std::variant<std::shared_ptr<SharedPayload>, std::string> MemoryLedger::hold(FileDescriptor memory,
                                                                             std::uint64_t size,
                                                                             std::uint32_t uid) {
  MemoryUse& user = users_[uid];
  if (user.payloads >= limit_.payloads)
    return "shared memory: you have " + std::to_string(user.payloads) +
           " payloads in it; one user may have " + std::to_string(limit_.payloads);
  if (size > limit_.bytes - user.bytes)
    return "shared memory: you have " + std::to_string(user.bytes) + " bytes in it, and " +
           std::to_string(size) + " would be added; one user may have " + std::to_string(limit_.bytes);
  for (MemoryUse* use : {&user, &total_}) {
    ++use->payloads;
    use->bytes += size;
  }
  return std::make_shared<SharedPayload>(std::move(memory), size, uid, shared_from_this());
}

void MemoryLedger::release(std::uint32_t uid, std::uint64_t size) {
  const auto user = users_.find(uid);
  for (MemoryUse* use : {&user->second, &total_}) {
    --use->payloads;
    use->bytes -= size;
  }
  if (user->second.payloads == 0) users_.erase(user);
}

TaskMemory& give_memory(core::Task& task) {
  if (!task.options) task.options = std::make_unique<core::TaskOptions>();
  if (!task.options->kept) task.options->kept = std::make_shared<TaskMemory>();
  return *memory_of(task);
}

}  // namespace poold::engine
