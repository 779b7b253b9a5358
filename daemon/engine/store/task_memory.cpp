#include "daemon/engine/store/task_memory.hpp"

#include <algorithm>
#include <utility>

namespace poold::engine {

SharedPayload::SharedPayload(FileDescriptor memory, std::uint64_t size, std::uint32_t uid,
                             std::shared_ptr<MemoryLedger> ledger)
    : memory_(std::move(memory)), size_(size), uid_(uid), ledger_(std::move(ledger)) {}

SharedPayload::~SharedPayload() { ledger_->release(uid_, size_); }

std::variant<std::shared_ptr<SharedPayload>, std::string> MemoryLedger::hold(FileDescriptor memory,
                                                                             std::uint64_t size,
                                                                             std::uint32_t uid) {
  const auto known = users_.find(uid);
  const MemoryUse has = known == users_.end() ? MemoryUse() : known->second;
  if (has.payloads >= limit_.payloads) {
    ++refused_;
    return "shared memory: you have " + std::to_string(has.payloads) + " payloads in it; one user may have " +
           std::to_string(limit_.payloads);
  }
  if (size > limit_.bytes - has.bytes) {
    ++refused_;
    return "shared memory: you have " + std::to_string(has.bytes) + " bytes in it, and " +
           std::to_string(size) + " would be added; one user may have " + std::to_string(limit_.bytes);
  }
  for (MemoryUse* use : {&users_[uid], &total_}) {
    ++use->payloads;
    use->bytes += size;
  }
  return std::make_shared<SharedPayload>(std::move(memory), size, uid, shared_from_this());
}

void MemoryLedger::note_gone(core::ClientToken client) {
  // More than may go in one turn.
  constexpr std::size_t gone_max = 1024;
  if (total_.payloads == 0) return;
  if (gone_.size() == gone_max) gone_.pop_front();
  gone_.push_back(client);
}

bool MemoryLedger::is_gone(core::ClientToken client) const {
  return std::ranges::find(gone_, client) != gone_.end();
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
