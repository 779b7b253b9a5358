// Whether the kernel has killed somebody in this worker's cgroup for want of memory (cgroup v2,
// memory.events). Where there is no such file, it never has.
#pragma once

#include <cstdint>

#include "common/seqpacket.hpp"

namespace poold::worker {

class MemoryEvents {
 public:
  MemoryEvents();
  // Since the last call, or the beginning.
  bool killed();

 private:
  std::uint64_t read_kills() const;

  FileDescriptor file_;
  std::uint64_t kills_ = 0;
};

}  // namespace poold::worker
