// What queues and semaphores have in common: who calls, who holds, and why something is refused.
//
// A part of the core that knows no tasks: calls and the ends of connections come in, answers go out. Time
// comes in as give_up().
#pragma once

#include <cstdint>

namespace poold::sync {

// A connection of a client. Numbers are never used twice; 0 is nobody.
using HolderNumber = std::uint64_t;
struct Holder {
  HolderNumber number = 0;
  std::int32_t pid = 0;
  std::uint32_t uid = 0;
};

// A call that wants to be answered, once.
using CallNumber = std::uint64_t;

enum class Refusal : std::uint8_t {
  none,
  unknown,       // there is nothing of that name, or not any more
  exists,        // the name is taken
  too_many,      // its owner has as many as one user may
  too_large,     // the message is larger than the queue
  owner_full,    // the owner's queues hold as many bytes as one user's may
  closed,        // the queue takes no message any more
  never_enough,  // more permits than there can ever be
  not_held,      // a release of what this connection does not hold
  over_maximum,  // a release of more than was ever acquired, where that has a bound
};

}  // namespace poold::sync
