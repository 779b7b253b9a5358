// Reads a time zone of the system's tz database.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "common/time_zone.hpp"

namespace poold {

// "Europe/Berlin", "UTC"; empty: the machine's own (/etc/localtime; UTC where there is none). The error says
// what is wrong and what is accepted.
std::variant<TimeZone, std::string> load_time_zone(const std::string& name);

}  // namespace poold
