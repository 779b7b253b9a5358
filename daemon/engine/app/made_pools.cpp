// Pools beside those of the configuration: of its templates, and of one slot and one task for each dedicated
// process. What they run is the configuration's; the supervisor looks it up in its own copy.
#include <algorithm>

#include "daemon/engine/app/engine.hpp"
#include "daemon/engine/app/pool_setup.hpp"

namespace poold::engine {
namespace {

const settings::Pool* find(const std::vector<settings::Pool>& pools, const std::string& name) {
  const auto at = std::ranges::find(pools, name, &settings::Pool::name);
  return at == pools.end() ? nullptr : &*at;
}

core::PoolSettings made_core_settings(const settings::Pool& pool, const MadePool& made) {
  core::PoolSettings settings = core_settings(pool);
  settings.one_task = made.process;
  return settings;
}

}  // namespace

std::optional<settings::Pool> Engine::settings_of(const settings::Settings& settings,
                                                  const MadePool& made) const {
  const settings::Pool* base = find(made.of_template ? settings.templates : settings.pools, made.base);
  if (!base) return std::nullopt;
  settings::Pool pool = *base;
  pool.name = made.name;
  pool.workers = made.workers;
  // It ends with this engine, and so do its tasks.
  pool.durability = settings::Durability::memory;
  if (made.process) {
    // A process starts now, and is counted among the pool's processes.
    pool.rate = {};
    pool.user_tasks = 0;
    pool.queue_size = 1;
    pool.crash_attempts = 1;
  }
  return pool;
}

std::optional<std::uint32_t> Engine::template_workers(const std::string& name) const {
  const settings::Pool* pool = find(settings_.templates, name);
  return pool ? std::optional(pool->workers) : std::nullopt;
}

core::PoolIndex Engine::make_pool(const MadePool& made) {
  // Whoever asks has looked that the template is there.
  const settings::Pool pool = settings_of(settings_, made).value();
  pools_[made.name] = pool;
  made_pools_[made.name] = made;
  made_pools_[made.name].number = ++last_made_pool_;
  make_log_directory(facts_.state_directory, pool);
  post(core::AddPool{made_core_settings(pool, made)});
  const core::PoolIndex index = core_.state().pool_names.at(made.name);
  store_.set_limits(index, retention_limits(pool));
  return index;
}

const MadePool* Engine::made_pool(core::PoolIndex pool) const {
  const auto at = made_pools_.find(core_.state().pools[pool].settings.name);
  return at == made_pools_.end() ? nullptr : &at->second;
}

// After a reload: those whose template or pool is still there stay, with its new settings.
void Engine::keep_made_pools(const settings::Settings& settings, std::vector<core::PoolSettings>& wanted) {
  for (const core::Pool& pool : core_.state().pools) {
    const auto made = made_pools_.find(pool.settings.name);
    if (made == made_pools_.end() || pool.removed) continue;
    if (find(settings.pools, made->first)) {
      made_pools_.erase(made);  // the configuration has taken the name over
      continue;
    }
    const auto renewed = settings_of(settings, made->second);
    if (!renewed) continue;
    pools_[made->first] = *renewed;
    wanted.push_back(made_core_settings(*renewed, made->second));
  }
}

void Engine::give_up_process(core::PoolIndex pool) {
  std::vector<core::Sequence> tasks;
  core_.state().tasks.each([&](const core::Task& task) {
    if (task.pool == pool) tasks.push_back(task.sequence());
    return true;
  });
  for (const core::Sequence task : tasks) post(core::Cancel{task});
}

void Engine::signal_worker(const core::WorkerRef& worker, int signal) {
  internal::ToSupervisor message;
  message.mutable_signal()->set_pool(core_.state().pools[worker.pool].settings.name);
  message.mutable_signal()->set_slot(worker.slot);
  message.mutable_signal()->set_generation(worker.generation);
  message.mutable_signal()->set_signal(signal);
  supervisor_.send(message);
}

}  // namespace poold::engine
