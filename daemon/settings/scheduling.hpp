// The keys that say how much runs at once: named limits, rates, shares of users.
#pragma once

#include <vector>

#include "daemon/settings/place.hpp"
#include "daemon/settings/settings.hpp"

namespace poold::settings {

// Those of a pool.
void read_scheduling(MapReader& map, Pool& pool);
// The key `limits`.
void read_limits(const Place& place, std::vector<TaskLimit>& limits);

}  // namespace poold::settings
