// Why a task does not run, from the tables by which that is decided. For people: `poolctl explain`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/core.hpp"

namespace poold::core {

struct Reason {
  enum class Kind : std::uint8_t {
    held,            // until somebody releases it
    not_due,         // its delay, or its back-off: until
    parent,          // `parent` has not ended
    limit,           // no tokens: limit, wanted of size, used
    limit_rate,      // limit: no further start before until
    pool_paused,     // by the user uid
    pool_throttled,  // its workers cannot be started: until
    pool_rate,       // no further start in the pool before until
    no_workers,      // none is ready
    workers_busy,    // all that are
    behind_others,   // at most `ahead` others start first
    group,           // `ahead` tasks of its user's `group` have not ended
  };
  Kind kind = Kind::held;
  std::optional<Time> until;
  Sequence parent = 0;
  std::string limit;
  std::string group;
  std::uint32_t wanted = 0, size = 0, used = 0;
  std::uint32_t ahead = 0;
  std::uint32_t uid = 0;
};

// Every reason that holds now, the one that decided first. Empty for a task that runs.
std::vector<Reason> explain(const State& state, const Task& task, Time now);

}  // namespace poold::core
