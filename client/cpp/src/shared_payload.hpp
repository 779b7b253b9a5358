// What is in a SharedPayload: memory of one's own, or a result's.
#pragma once

#include <utility>

#include "client/cpp/poold/shared_payload.hpp"
#include "common/sealed_memory.hpp"

namespace poold {

class SharedPayload::Inside {
 public:
  explicit Inside(SealedMemory made) : memory(std::move(made)) {}
  // Before it is sent. Throws std::system_error.
  void seal();

  SealedMemory memory;
};

}  // namespace poold
