// Pools as clients see them.
#pragma once

#include <optional>
#include <string>

#include "daemon/engine/control/backend.hpp"
#include "poold/v1/pools.pb.h"

namespace poold::engine {

// Not in the configuration any more, and nothing of it is left.
bool gone(const core::Pool& pool);
v1::Pool::State state_of(core::PoolState state);
void fill_pool(const Backend& backend, core::PoolIndex pool, v1::Pool& message);
// A complaint if this many workers, in the pool `scaled` or in a new one, and the least number of all other
// pools' are more than all pools together may have.
std::optional<std::string> beyond_all(const core::State& state, std::optional<core::PoolIndex> scaled,
                                      std::uint32_t workers);
// Such as "ENOENT"; the number where it has no name.
std::string errno_name(int value);

}  // namespace poold::engine
