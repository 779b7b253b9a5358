// What a pool's settings are to the core, what is kept of its tasks, and the directory that its logs need.
#pragma once

#include <string>

#include "daemon/core/pool.hpp"
#include "daemon/engine/store/memory_store.hpp"
#include "daemon/settings/settings.hpp"

namespace poold::engine {

inline bool is_on_disk(const settings::Pool& pool) { return pool.durability == settings::Durability::disk; }
inline core::Rate core_rate(const settings::Rate& rate) { return {rate.count, rate.per, rate.burst}; }
core::PoolSettings core_settings(const settings::Pool& pool);
inline RetentionLimits retention_limits(const settings::Pool& pool) {
  return {.age = pool.retention.age, .count = pool.retention.count, .size = pool.retention.size};
}
void make_log_directory(const std::string& state_directory, const settings::Pool& pool);

}  // namespace poold::engine
