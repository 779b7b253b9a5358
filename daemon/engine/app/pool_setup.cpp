// What a pool's settings are to the core, and the directory that its logs need.
#include "daemon/engine/app/pool_setup.hpp"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace poold::engine {
namespace {

// The part of it that is about processes and commands.
std::string process_identity(const settings::Pool& pool) {
  std::string identity = fmt::format("\2{} {} {}", pool.umask ? static_cast<int>(*pool.umask) : -1,
                                     pool.nice ? *pool.nice : 99, static_cast<int>(pool.output));
  for (const settings::ResourceLimit& limit : pool.limits)
    identity += fmt::format(" {}={}", limit.resource, limit.value);
  if (pool.account)
    identity +=
        fmt::format(" {}:{}:{}", pool.account->uid, pool.account->gid, fmt::join(pool.account->groups, ","));
  for (const std::string& program : pool.allow) identity += '\3' + program;
  return identity;
}

// The whole of what a pool's workers are told or run: when it changes, they are replaced.
std::string program_identity(const settings::Pool& pool) {
  std::string identity = pool.plugin + '\0' + pool.cwd + '\0' + std::to_string(pool.log_size) + '\0' +
                         std::to_string(pool.grace.count());
  for (const std::string& word : pool.program) identity += '\0' + word;
  if (pool.protocol == settings::WorkerProtocol::lines) identity += '\4';
  if (pool.shared_memory) identity += '\5';
  for (const auto& [name, value] : pool.env) identity += '\1' + name + '=' + value;
  return identity + process_identity(pool);
}

}  // namespace

core::PoolSettings core_settings(const settings::Pool& pool) {
  core::PoolSettings settings;
  settings.name = pool.name;
  settings.workers = pool.workers;
  settings.workers_min = pool.workers_min;
  settings.spare = pool.spare;
  settings.idle_timeout = pool.idle_timeout;
  settings.service = {pool.recycle.tasks, pool.recycle.age, pool.recycle.memory, pool.recycle.spread};
  settings.queue_size = pool.queue_size;
  settings.crash_attempts = pool.crash_attempts;
  settings.tasks_per_worker = pool.max_tasks;
  settings.grace = pool.grace;
  settings.start_timeout = pool.start_timeout;
  settings.user_tasks_max = pool.user_tasks;
  settings.rate = core_rate(pool.rate);
  settings.ageing = pool.ageing;
  for (const auto& share : pool.shares) settings.shares.push_back({share.uid, share.weight});
  settings.durable = pool.durability == settings::Durability::disk;
  settings.ends_own_tasks = pool.kind == settings::PoolKind::command;
  settings.program = program_identity(pool);
  return settings;
}

namespace {

// The first directory on the way that the account cannot pass; empty if there is none.
std::string obstacle(const std::filesystem::path& target, const settings::Account& account) {
  for (std::filesystem::path path = target.parent_path(); path.has_relative_path();
       path = path.parent_path()) {
    struct stat status;
    if (::stat(path.c_str(), &status) < 0) return path;
    const auto& groups = account.groups;
    const bool member = std::find(groups.begin(), groups.end(), status.st_gid) != groups.end();
    const mode_t needed = status.st_uid == account.uid ? S_IXUSR : member ? S_IXGRP : S_IXOTH;
    if (!(status.st_mode & needed)) return path;
  }
  return {};
}

}  // namespace

// A pool's logs belong to whom its workers run as. Others may pass through the directories above, where a
// pool has a user of its own, and read nothing.
void make_log_directory(const std::string& state_directory, const settings::Pool& pool) {
  using std::filesystem::perms;
  const std::string logs = state_directory + "/logs", own = logs + "/" + pool.name;
  constexpr perms passage = perms::owner_all | perms::group_exec | perms::others_exec;
  std::error_code error;
  std::filesystem::create_directories(own, error);
  if (!error) std::filesystem::permissions(logs, passage, error);
  if (!error) std::filesystem::permissions(own, perms::owner_all, error);
  if (!error && pool.account) std::filesystem::permissions(state_directory, passage, error);
  const uid_t uid = pool.account ? pool.account->uid : ::geteuid();
  const gid_t gid = pool.account ? pool.account->gid : ::getegid();
  // Only root has pools of others, and takes them back when they are its own again.
  if (!error && ::geteuid() == 0 && ::chown(own.c_str(), uid, gid) < 0)
    error.assign(errno, std::generic_category());
  if (pool.account && pool.account->uid != 0)
    if (const std::string path = obstacle(own, *pool.account); !path.empty())
      spdlog::error("pool {}: its user {} cannot get to its logs: {} lets nobody through", pool.name,
                    pool.account->name, path);
  if (error) spdlog::error("cannot make {} for the logs of pool {}: {}", own, pool.name, error.message());
}

}  // namespace poold::engine
