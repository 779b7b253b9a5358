// The socket between a worker and the engine for descriptors of sealed memory, which pipes cannot carry. A
// datagram names the attempt whose payload it brings; the frame on the pipe says how large that is.
#pragma once

#include <cstdint>

#include "common/seqpacket.hpp"

namespace poold {

// The descriptor in the worker, and the environment variable that is set where it is there.
inline constexpr int memory_socket_descriptor = 7;
inline constexpr const char* memory_socket_variable = "POOLD_SHARED_MEMORY";

// Payloads above this travel as sealed memory where both sides can.
inline constexpr std::uint64_t shared_from = 256 * 1024;
// One is not larger than this.
inline constexpr std::uint64_t shared_size_max = std::uint64_t{1} << 40;

struct AttemptNumber {
  std::uint64_t task = 0;
  std::uint64_t attempt = 0;
  bool operator==(const AttemptNumber&) const = default;
};

Transfer send_memory(int socket, const AttemptNumber& attempt, const FileDescriptor& memory);

// What was sent for this attempt, without waiting; invalid: it is not there. Whatever comes before it was for
// attempts that never got so far, and is closed.
FileDescriptor receive_memory(int socket, const AttemptNumber& attempt);

}  // namespace poold
