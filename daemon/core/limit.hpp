// Named limits: so many tokens to be held by running tasks, and so many starts in a time, across all pools.
//
// Tokens are taken when a task is handed to a worker and given back when it leaves it, whoever died. A task
// at the front of its pool's queue for which there are no tokens is parked in the limit's own list, out of
// the way of others, so that a million tasks behind a thousand limits cost no more than a thousand. When
// there are tokens again, the limit offers them to the first of its list: that one goes back to its pool's
// queue, near the front. An offer is no reservation: it bounds how many are woken, and tasks of other pools
// get offers of their own, so that a paused pool holds nobody up.
//
// A limit that nobody has set has size 1 and is forgotten with its last task.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "daemon/core/queue.hpp"
#include "daemon/core/rate.hpp"

namespace poold::core {

inline constexpr std::uint32_t limit_size_max = 1'000'000;

// What an operator or the configuration says about a limit.
struct LimitSettings {
  std::string name;
  std::uint32_t size = 1;  // 0: closed
  Rate rate;
  bool operator==(const LimitSettings&) const = default;
};

struct Limit {
  LimitSettings settings;
  bool set = false;          // by somebody; else it is forgotten with its last task
  bool configured = false;   // by the configuration, which may take it back
  std::uint32_t used = 0;    // tokens held by running tasks
  std::uint32_t users = 0;   // unfinished tasks that name it
  std::uint64_t number = 0;  // finds it again when a timer rings
  Bucket bucket;             // of settings.rate
  bool timer_armed = false;  // a timer will look whether the rate allows more
  struct Parked {
    Queue queue;
    std::uint32_t offered = 0;         // tokens offered to queued tasks of this pool ...
    std::uint32_t offered_starts = 0;  // ... and to how many tasks
  };
  std::map<PoolIndex, Parked> parked;

  // What a task gets that asks for so many: all there are, if it asks for more.
  std::uint32_t share_of(std::uint32_t tokens) const {
    return tokens < settings.size ? tokens : settings.size;
  }
};

using Limits = std::map<std::string, std::unique_ptr<Limit>, std::less<>>;

}  // namespace poold::core
