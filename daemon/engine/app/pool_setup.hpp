// What a pool's settings are to the core, and the directory that its logs need.
#pragma once

#include <string>

#include "daemon/core/pool.hpp"
#include "daemon/settings/settings.hpp"

namespace poold::engine {

inline bool is_on_disk(const settings::Pool& pool) { return pool.durability == settings::Durability::disk; }
inline core::Rate core_rate(const settings::Rate& rate) { return {rate.count, rate.per, rate.burst}; }
core::PoolSettings core_settings(const settings::Pool& pool);
void make_log_directory(const std::string& state_directory, const settings::Pool& pool);

}  // namespace poold::engine
