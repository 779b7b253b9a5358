#include "client/cpp/src/memory_socket_end.hpp"

#include <fcntl.h>
#include <poll.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace poold::worker {

MemorySocketEnd::MemorySocketEnd() {
  if (!std::getenv(memory_socket_variable)) return;
  // Not for what this worker runs.
  ::unsetenv(memory_socket_variable);
  FileDescriptor socket(memory_socket_descriptor);
  if (::fcntl(socket.get(), F_SETFD, FD_CLOEXEC) == 0) socket_ = std::move(socket);
}

std::optional<SealedMemory> MemorySocketEnd::receive(const AttemptNumber& attempt, std::uint64_t size,
                                                     const std::function<void()>& flush) {
  FileDescriptor memory = receive_memory(socket_.get(), attempt);
  if (!memory.valid()) flush();
  for (pollfd entry{socket_.get(), POLLIN, 0}; !memory.valid() && (entry.revents & POLLHUP) == 0;) {
    ::poll(&entry, 1, -1);
    memory = receive_memory(socket_.get(), attempt);
  }
  auto adopted = SealedMemory::adopt(std::move(memory), size, shared_size_max);
  if (auto* sealed = std::get_if<SealedMemory>(&adopted)) return std::move(*sealed);
  std::fprintf(stderr, "worker: a payload is not there: %s\n", std::get<std::string>(adopted).c_str());
  return std::nullopt;
}

bool MemorySocketEnd::send(const AttemptNumber& attempt, const SealedMemory& memory) {
  for (;;) {
    const Transfer sent = send_memory(socket_.get(), attempt, memory.descriptor());
    if (sent != Transfer::would_block) return sent == Transfer::done;
    pollfd entry{socket_.get(), POLLOUT, 0};
    ::poll(&entry, 1, -1);
  }
}

std::optional<SealedMemory> share_result(v1::Outcome& outcome) {
  const std::string& data = outcome.payload().data();
  if (data.size() <= shared_from) return std::nullopt;
  auto memory = SealedMemory::create(data.size());
  if (!memory) return std::nullopt;
  std::memcpy(memory->writable().data(), data.data(), data.size());
  if (!memory->seal()) return std::nullopt;
  outcome.mutable_payload()->set_shared_size(data.size());
  // With its memory, which nobody may need again.
  const std::unique_ptr<std::string> freed(outcome.mutable_payload()->release_data());
  return memory;
}

}  // namespace poold::worker
