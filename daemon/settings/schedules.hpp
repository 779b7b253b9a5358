// The key `schedules`: tasks that are submitted again and again.
#pragma once

#include <vector>

#include "daemon/settings/place.hpp"
#include "daemon/settings/settings.hpp"

namespace poold::settings {

// `pools` are those of the same file.
void read_schedules(const Place& place, const std::vector<Pool>& pools, std::vector<Schedule>& schedules);

}  // namespace poold::settings
