// The keys of a pool that say how its processes run: user, group, umask, nice, rlimits; and which programs a
// command pool runs. The values are in settings.hpp.
#pragma once

#include "daemon/settings/accounts.hpp"
#include "daemon/settings/place.hpp"
#include "daemon/settings/settings.hpp"

namespace poold::settings {

// Takes its keys out of a pool's map.
void read_process_settings(MapReader& map, const Accounts& accounts, Pool& pool);

}  // namespace poold::settings
