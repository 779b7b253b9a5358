// What a pool's settings are to the core, and the directory that its logs need. In supervision.cpp.
#pragma once

#include <string>

#include "daemon/core/pool.hpp"
#include "daemon/settings/settings.hpp"

namespace poold::engine {

core::PoolSettings core_settings(const settings::Pool& pool);
void make_log_directory(const std::string& state_directory, const settings::Pool& pool);

}  // namespace poold::engine
