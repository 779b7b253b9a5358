// Loading a plug-in. What it exports is described in client/cpp/poold/detail/plugin.hpp.
#pragma once

#include <string>
#include <variant>

#include "client/cpp/poold/detail/plugin.hpp"

namespace poold::worker {

// The plug-in's table, or why it cannot be had, in words that name the path. A plug-in stays loaded until the
// process ends.
std::variant<const plugin::Table*, std::string> load_plugin(const std::string& path);

}  // namespace poold::worker
