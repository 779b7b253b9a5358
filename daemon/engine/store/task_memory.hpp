// Payloads in sealed memory, as the engine holds them: descriptors that are handed on and never mapped. They
// are counted by the user whose tasks they belong to, so that nobody takes all descriptors or all memory.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <variant>

#include "common/seqpacket.hpp"
#include "daemon/core/task.hpp"

namespace poold::engine {

struct MemoryUse {
  std::uint32_t payloads = 0;
  std::uint64_t bytes = 0;
};

class MemoryLedger;

// One descriptor. Whoever forwards it keeps it until it has gone.
class SharedPayload {
 public:
  SharedPayload(FileDescriptor memory, std::uint64_t size, std::uint32_t uid,
                std::shared_ptr<MemoryLedger> ledger);
  SharedPayload(const SharedPayload&) = delete;
  SharedPayload& operator=(const SharedPayload&) = delete;
  ~SharedPayload();

  const FileDescriptor& memory() const { return memory_; }
  std::uint64_t size() const { return size_; }

 private:
  FileDescriptor memory_;
  std::uint64_t size_;
  std::uint32_t uid_;
  std::shared_ptr<MemoryLedger> ledger_;
};

// What each user has.
class MemoryLedger : public std::enable_shared_from_this<MemoryLedger> {
 public:
  // So much for one user.
  explicit MemoryLedger(MemoryUse limit) : limit_(limit) {}
  // Takes the descriptor over, or says which limit is in the way.
  std::variant<std::shared_ptr<SharedPayload>, std::string> hold(FileDescriptor memory, std::uint64_t size,
                                                                 std::uint32_t uid);
  const MemoryUse& total() const { return total_; }
  std::uint64_t refused() const { return refused_; }

  // A client's unfinished tasks are being cancelled because it is gone. One may have ended in this very turn:
  // its result is nobody's.
  void note_gone(core::ClientToken client);
  bool is_gone(core::ClientToken client) const;

 private:
  friend class SharedPayload;
  void release(std::uint32_t uid, std::uint64_t size);

  MemoryUse limit_;
  MemoryUse total_;
  std::uint64_t refused_ = 0;
  std::unordered_map<std::uint32_t, MemoryUse> users_;
  std::deque<core::ClientToken> gone_;  // the last of them
};

// What a task has in shared memory.
struct TaskMemory {
  // Until it has ended. Every attempt gets the same.
  std::shared_ptr<SharedPayload> argument;
  // Until it was given to the client that submitted the task, or the task is forgotten.
  std::shared_ptr<SharedPayload> result;
  bool had_argument = false;
};
// Null: nothing, as most tasks.
inline TaskMemory* memory_of(const core::Task& task) {
  return task.options ? static_cast<TaskMemory*>(task.options->kept.get()) : nullptr;
}
// Begins with nothing.
TaskMemory& give_memory(core::Task& task);

}  // namespace poold::engine
