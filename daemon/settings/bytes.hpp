// What is wrong with a configuration file before it is YAML: its size, its encoding, its control characters.
#pragma once

#include <optional>
#include <string_view>

#include "daemon/settings/settings.hpp"

namespace poold::settings {

// The first thing that yaml-cpp would misread or report badly; nothing if there is none. The error has no
// path.
std::optional<Error> check_bytes(std::string_view text);

}  // namespace poold::settings
