// The worker's end of the socket for shared memory (common/memory_socket.hpp), in pools that have it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "common/memory_socket.hpp"
#include "common/sealed_memory.hpp"
#include "poold/v1/task.pb.h"

namespace poold::worker {

class MemorySocketEnd {
 public:
  // Takes it over, if the supervisor gave one.
  MemorySocketEnd();
  bool open() const { return socket_.valid(); }

  // The payload of this attempt, mapped. `flush` is called before it has to be waited for. Nothing, with the
  // reason on stderr: the engine did not send it.
  std::optional<SealedMemory> receive(const AttemptNumber& attempt, std::uint64_t size,
                                      const std::function<void()>& flush);
  // False: the engine is gone.
  bool send(const AttemptNumber& attempt, const SealedMemory& memory);

 private:
  FileDescriptor socket_;
};

// Puts a large result's bytes into shared memory, in place of the frame. Nothing: it is small, or there is no
// memory, and it stays as it is.
std::optional<SealedMemory> share_result(v1::Outcome& outcome);

}  // namespace poold::worker
