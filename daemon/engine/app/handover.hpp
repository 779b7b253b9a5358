// What handover.cpp and inheritance.cpp agree on; the rest is in common/proto/poold/internal/handover.proto.
#pragma once

#include <fcntl.h>

#include <cstdint>

#include "common/seqpacket.hpp"

namespace poold::engine {

inline constexpr std::uint32_t handover_version = 1;

inline FileDescriptor duplicate(const FileDescriptor& descriptor) {
  return FileDescriptor(::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 0));
}

}  // namespace poold::engine
