// The configuration: read from the supervisor's text, put in force, and changed by a reload.
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "daemon/engine/app/engine.hpp"
#include "daemon/engine/app/pool_setup.hpp"
#include "daemon/engine/control/pool_message.hpp"
#include "daemon/journal/journal.hpp"

namespace poold::engine {
namespace {

spdlog::level::level_enum level_of(const std::string& name) {
  return spdlog::level::from_str(name == "warning" ? "warn" : name);
}

Members members(const settings::Members& from) { return {from.users, from.groups}; }

Access access_rules(const settings::Access& from, const std::string& socket_path) {
  Access access{members(from.read), members(from.submit), members(from.operate), members(from.admin), {}};
  struct stat status {};
  const bool group_may_connect = ::stat(socket_path.c_str(), &status) == 0 && (status.st_mode & S_IWGRP) != 0;
  if (group_may_connect) access.socket_group = status.st_gid;
  return access;
}

}  // namespace

// What an earlier engine's tasks wrote belongs to nobody if they lived in memory.
void Engine::drop_logs_of_memory_pools(const settings::Settings& settings) const {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(facts_.state_directory + "/logs", ignored)) {
    const std::string name = entry.path().filename();
    const bool kept = std::ranges::any_of(
        settings.pools, [&](const settings::Pool& pool) { return pool.name == name && is_on_disk(pool); });
    if (!kept) std::filesystem::remove_all(entry.path(), ignored);
  }
}

bool Engine::read_settings(const FileDescriptor& text, settings::Settings& settings) const {
  const auto content = read_all(text.get(), settings::text_size_max);
  if (!content) return false;
  auto parsed = settings::parse(*content, facts_.configuration_path);
  if (auto* good = std::get_if<settings::Settings>(&parsed)) {
    settings = std::move(*good);
    return true;
  }
  for (const auto& error : std::get<settings::Errors>(parsed))
    spdlog::error("{}", settings::to_string(error));
  return false;
}

std::vector<std::string> Engine::configure(settings::Settings settings) {
  std::vector<std::string> changes;
  std::vector<core::PoolSettings> wanted;
  for (settings::Pool& pool : settings.pools) {
    const auto known = pools_.find(pool.name);
    const auto running = core_.state().pool_names.find(pool.name);
    const bool present =
        running != core_.state().pool_names.end() && !core_.state().pools[running->second].removed;
    if (!present) changes.push_back("pool " + pool.name + " added");
    if (present && pool.durability != known->second.durability) {
      changes.push_back("pool " + pool.name + ": its durability changes with the next start only");
      pool.durability = known->second.durability;
    }
    if (present && !(known->second == pool)) changes.push_back("pool " + pool.name + " changed");
    pools_[pool.name] = pool;
    wanted.push_back(core_settings(pool));
    make_log_directory(facts_.state_directory, pool);
  }
  keep_made_pools(settings, wanted);
  std::vector<bool> was_removed;
  for (const core::Pool& pool : core_.state().pools) was_removed.push_back(pool.removed);
  std::vector<core::LimitSettings> limits;
  for (const settings::TaskLimit& limit : settings.limits)
    limits.push_back({limit.name, limit.size, core_rate(limit.rate)});
  post(core::Configure{std::move(wanted), std::move(limits), settings.workers_max});
  const auto& pools = core_.state().pools;
  for (core::PoolIndex index = 0; index < pools.size(); ++index) {
    store_.set_limits(index, retention_limits(pool_settings(index)));
    if (index < was_removed.size() && !was_removed[index] && pools[index].removed)
      changes.push_back("pool " + pools[index].settings.name + " removed");
  }
  if (listener_) recover_tasks();  // of a pool that has come back
  spdlog::set_level(level_of(settings.log_level));
  access_ = access_rules(settings.access, facts_.socket_path);
  for (std::string& change : schedules_->configure(settings.schedules)) changes.push_back(std::move(change));
  settings_ = std::move(settings);
  return changes;
}

void Engine::on_reloaded(const internal::ReloadResult& result, std::vector<FileDescriptor> descriptors) {
  std::vector<std::string> lines(result.errors().begin(), result.errors().end());
  bool ok = result.ok();
  settings::Settings settings;
  if (ok && (descriptors.size() != 1 || !read_settings(descriptors[0], settings))) {
    ok = false;
    lines = {"the engine could not read the new configuration; the running one stays"};
  }
  if (ok && std::ranges::any_of(settings.pools, is_on_disk) && !durable_) {
    ok = durable_ = open_store();
    if (!ok)
      lines = {"the store cannot be opened: " + std::exchange(store_trouble_, {}) +
               "; the running configuration stays"};
  }
  if (ok) {
    lines = configure(std::move(settings));
    spdlog::info("configuration reloaded: {}",
                 lines.empty() ? "nothing changed" : fmt::format("{}", fmt::join(lines, ", ")));
  }
  const auto waiting = reloads_.find(result.request());
  if (waiting == reloads_.end()) return;
  const auto done = std::move(waiting->second);
  reloads_.erase(waiting);
  done(ok, std::move(lines));
}

}  // namespace poold::engine
