// Durable pools: what waits for a commit, and what an earlier engine left.
//
// At the end of a turn the tasks of durable pools that changed become rows of one batch, and every promise
// about them waits until that batch is on the disk. Batches are committed in order, so promises are kept in
// order; what is to be said to a worker waits behind the tasks that are on their way to it. Nothing here
// decides: the core is not told whether a pool is slow because of a disk or because of a client.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "common/fail_point.hpp"
#include "common/overloaded.hpp"
#include "daemon/engine/app/engine.hpp"
#include "daemon/engine/app/stored_task.hpp"
#include "daemon/engine/store/sqlite_store.hpp"

namespace poold::engine {
namespace {

// The pool whose commit this promise waits for; nothing for what promises nothing.
std::optional<core::PoolIndex> pool_of(const core::Promise& promise) {
  return std::visit(Overloaded{
                        [](const core::Accepted& p) { return std::optional(p.pool); },
                        [](const core::Refused&) { return std::optional<core::PoolIndex>(); },
                        [](const core::Dispatch& p) { return std::optional(p.worker.pool); },
                        [](const core::Finished& p) { return std::optional(p.task.pool); },
                        [](const core::AttemptEnded& p) { return std::optional(p.pool); },
                    },
                    promise);
}

// The worker that this effect says something to through its pipe.
const core::WorkerRef* addressee(const core::Effect& effect) {
  return std::visit(Overloaded{
                        [](const core::StopWorker& e) { return &e.worker; },
                        [](const core::ReturnTasks& e) { return &e.worker; },
                        [](const core::CancelAttempt& e) { return &e.worker; },
                        [](const core::SignalAttempt& e) { return &e.worker; },
                        [](const auto&) -> const core::WorkerRef* { return nullptr; },
                    },
                    effect);
}

template <class T>
void append(std::vector<T>& to, std::vector<T>&& from) {
  std::move(from.begin(), from.end(), std::back_inserter(to));
}

}  // namespace

bool Engine::is_durable(core::PoolIndex pool) const { return core_.state().pools[pool].settings.durable; }

std::uint64_t Engine::digest_of(const core::Task& task) const {
  if (!task.key) return 0;
  const auto known = core_.state().keys.find(*task.key);
  return known == core_.state().keys.end() ? 0 : known->second.digest;
}

void Engine::add_rows(core::Task& task, const WallClock& clock) {
  task.unsaved = false;
  const bool fresh = !std::exchange(task.stored, true);
  if (fresh)
    batch_.emplace_back(
        submission_row(task, core_.state().pools[task.pool].settings.name, digest_of(task), clock));
  // One that was only queued has nothing else to say.
  if (!fresh || task.attempt > 0 || task.options || task.cancelling)
    batch_.emplace_back(state_row(task, clock));
}

void Engine::withhold() {
  const WallClock clock{unix_ns(now_) - now_.time_since_epoch().count()};
  for (const core::Sequence number : performing_.writes)
    if (core::Task* task = core_.find_live(number)) add_rows(*task, clock);
  for (const Record* record : performing_ended_) {
    if (!is_durable(record->task.pool)) continue;
    Record& own = store_.own(record->task.sequence());
    if (!std::exchange(own.task.stored, true))
      batch_.emplace_back(submission_row(own.task, core_.state().pools[own.task.pool].settings.name,
                                         digest_of(own.task), clock));
    batch_.emplace_back(ended_row(own, clock));
  }
  const Acknowledgements acknowledged = std::exchange(acknowledgements_, {});
  if (batch_.empty() && withheld_.empty()) {
    acknowledge(acknowledged);
    for (const auto& callback : std::exchange(after_commit_, {})) callback();
    return;
  }
  Withheld held;
  take_durable_promises(held);
  held.callbacks = std::exchange(after_commit_, {});
  if (!acknowledged.empty()) held.acknowledgements.push_back(acknowledged);
  if (batch_.empty()) {
    // Nothing of its own to wait for, but it must not overtake what waits.
    append(withheld_.back().promises, std::move(held.promises));
    append(withheld_.back().callbacks, std::move(held.callbacks));
    append(withheld_.back().acknowledgements, std::move(held.acknowledgements));
    return;
  }
  pass(FailPoint::rows_made);
  held.batch = writer_->write(std::exchange(batch_, {}));
  pass(FailPoint::rows_given);
  withheld_.push_back(std::move(held));
}

void Engine::take_durable_promises(Withheld& held) {
  std::vector<core::Promise>& promises = performing_.promises;
  std::size_t kept = 0, kept_ended = 0, next_ended = 0;
  for (std::size_t i = 0; i < promises.size(); ++i) {
    const bool ended = std::holds_alternative<core::Finished>(promises[i]);
    const Record* record = ended ? performing_ended_[next_ended++] : nullptr;
    const auto pool = ended ? std::optional(record->task.pool) : pool_of(promises[i]);
    if (pool && is_durable(*pool)) {
      held.promises.push_back(std::move(promises[i]));
      if (ended) held.ended.push_back(record);
      continue;
    }
    if (ended) performing_ended_[kept_ended++] = record;
    if (kept != i) promises[kept] = std::move(promises[i]);
    ++kept;
  }
  promises.resize(kept);
  performing_ended_.resize(kept_ended);
}

bool Engine::waits_for_commit(const core::Effect& effect) {
  if (std::holds_alternative<core::StopComplete>(effect)) {
    stop_complete_ = true;  // and said once nothing is withheld
    return true;
  }
  const core::WorkerRef* worker = addressee(effect);
  if (!worker || withheld_.empty() || !is_durable(worker->pool)) return false;
  withheld_.back().effects.push_back(effect);
  return true;
}

void Engine::acknowledge(const Acknowledgements& acknowledgements) {
  for (const auto& [worker, tasks] : acknowledgements) {
    WorkerLink* link = find_link(worker);
    if (!link) continue;
    v1::ToWorker frame;
    frame.mutable_ack()->mutable_tasks()->Assign(tasks.begin(), tasks.end());
    link->send(frame);
  }
}

void Engine::after_commit(std::function<void()> then) {
  if (!durable_) return then();
  now();
  after_commit_.push_back(std::move(then));
}

void Engine::on_committed(std::uint64_t batches) {
  pass(FailPoint::commit_heard);
  now();
  while (!withheld_.empty() && withheld_.front().batch <= batches) {
    Withheld held = std::move(withheld_.front());
    withheld_.pop_front();
    for (const Record* record : held.ended) store_.own(record->task.sequence()).task.unsaved = false;
    // First: a task's next attempt may go to the same worker, whose result is another one.
    if (!held.acknowledgements.empty()) pass(FailPoint::result_unacknowledged);
    for (const Acknowledgements& acknowledged : held.acknowledgements) acknowledge(acknowledged);
    if (!held.acknowledgements.empty()) pass(FailPoint::result_acknowledged);
    perform_promises(held.promises, held.ended);
    for (const core::Effect& effect : held.effects) perform(effect);
    for (const auto& callback : held.callbacks) callback();
    forget_unaccepted(held.ended);
  }
}

void Engine::on_store_troubled(const StoreError& error) {
  spdlog::critical("the store cannot be written; durable pools take nothing new until it can: {}",
                   error.what());
  store_trouble_ = error.what();
  tell_health();
  now();
  // Whoever waits for an answer to a submission gets one now. What was accepted before waits for the disk.
  for (Withheld& held : withheld_) {
    std::erase_if(held.promises, [&](const core::Promise& promise) {
      const auto* accepted = std::get_if<core::Accepted>(&promise);
      if (!accepted || accepted->duplicate) return false;
      core::Task* task = core_.find_live(sequence_of(accepted->id));
      if (!task) return false;
      if (const auto client = find_client(accepted->client))
        client->on_refused({accepted->client, accepted->tag, core::Refusal::store_trouble, accepted->pool});
      unaccepted_.insert(task->sequence());
      task->client = 0;
      return true;
    });
  }
  for (const core::Sequence number : unaccepted_) post(core::Cancel{number});
}

void Engine::on_store_healed() {
  spdlog::warn("the store can be written again");
  store_trouble_.clear();
  tell_health();
}

void Engine::tell_health() {
  internal::ToSupervisor message;
  message.mutable_health()->set_degraded(store_trouble_);
  supervisor_.send(message);
}

void Engine::forget_unaccepted(const std::vector<const Record*>& ended) {
  if (unaccepted_.empty()) return;
  for (const Record* record : ended) {
    if (unaccepted_.erase(record->task.sequence()) == 0) continue;
    const Record taken = store_.take(record->task.sequence());
    forget(taken);
  }
}

// Before there is a writer: the store has no thread yet.
bool Engine::open_store() {
  auto store = std::make_unique<SqliteStore>(facts_.state_directory + "/poold.db");
  try {
    store->load([this](StoredTask&& task) {
      next_sequence_ = std::max(next_sequence_, sequence_of(task.submission.id) + 1);
      unclaimed_[task.submission.pool].push_back(std::move(task));
      pass(FailPoint::store_loading);
    });
    stored_schedules_ = store->load_schedules();
  } catch (const StoreError& error) {
    spdlog::critical("{}", error.what());
    store_trouble_ = error.what();
    if (error.kind() == StoreError::Kind::damaged)
      spdlog::critical(
          "nothing was changed: what can be read is copied by: poold --state-dir {} store salvage FILE; put "
          "that in its place, or move the damaged file away to begin with an empty store",
          facts_.state_directory);
    return false;
  }
  pass(FailPoint::store_loaded);
  writer_ = std::make_unique<StoreWriter>(
      loop_, std::move(store),
      StoreWriter::Events{[this](std::uint64_t batches) { on_committed(batches); },
                          [this](const StoreError& error) { on_store_troubled(error); },
                          [this] { on_store_healed(); }});
  return true;
}

void Engine::recover_tasks() {
  std::size_t live = 0, ended = 0;
  std::vector<decltype(unclaimed_)::node_type> claimed;
  std::vector<std::pair<core::PoolIndex, StoredTask*>> found;
  for (auto at = unclaimed_.begin(); at != unclaimed_.end();) {
    const auto pool = core_.state().pool_names.find(at->first);
    if (pool == core_.state().pool_names.end() || !is_durable(pool->second)) {
      spdlog::warn("pool {}: {} tasks in the store are left there: there is no such durable pool", at->first,
                   at->second.size());
      ++at;
      continue;
    }
    for (StoredTask& stored : at->second) found.emplace_back(pool->second, &stored);
    claimed.push_back(unclaimed_.extract(at++));
  }
  for (StoredTask& handed : handed_tasks_) {
    const auto pool = core_.state().pool_names.find(handed.submission.pool);
    if (pool != core_.state().pool_names.end()) found.emplace_back(pool->second, &handed);
  }
  // A task may wait for one of another pool: each comes after those with lower numbers, wherever they are.
  if (claimed.size() > 1 || !handed_tasks_.empty())
    std::ranges::sort(found, {}, [](const auto& item) { return sequence_of(item.second->submission.id); });
  // Those that have ended come first, in the order of their ends, by which they are forgotten.
  std::ranges::stable_sort(found, {}, [](const auto& item) {
    const auto& state = item.second->state;
    return state && state->ended() ? state->ended_ns : std::numeric_limits<std::int64_t>::max();
  });
  const WallClock clock{unix_ns(now_) - now_.time_since_epoch().count()};
  for (auto& [pool, stored] : found) {
    const bool over = stored->state && stored->state->ended();
    over ? recover_ended(std::move(*stored), pool, clock) : recover_live(std::move(*stored), pool, clock);
    ++(over ? ended : live);
  }
  if (live + ended > 0) spdlog::info("recovered {} tasks, and {} that have ended", live, ended);
  handed_tasks_.clear();
  schedules_->restore(std::exchange(stored_schedules_, {}));
}

void Engine::recover_ended(StoredTask&& stored, core::PoolIndex pool, const WallClock& clock) {
  const std::uint64_t digest = stored.submission.digest;
  core::Finished ended = ended_task(std::move(stored), pool, clock);
  ended.task.stored = is_durable(pool);
  inherit_memory(ended.task);
  // The wall clock may have been set back since.
  ended.ended_at = std::min(ended.ended_at, now_);
  const std::uint64_t logs = log_bytes(ended.task);
  const Record& record = store_.put(std::move(ended), logs);
  if (record.task.key) post(core::RememberKey{*record.task.key, {record.task.id, digest}});
  if (record.task.options && !record.task.options->group.empty())
    post(core::RememberMember{record.task.uid, record.task.options->group, record.task.state});
  pass(FailPoint::ended_task_recovered);
}

// Ended tasks come first where a parent's end is asked for: a parent has the lower number.
void Engine::recover_live(StoredTask&& stored, core::PoolIndex pool, const WallClock& clock) {
  core::Recover event = recover_event(std::move(stored), pool, clock);
  event.task.stored = is_durable(pool);
  inherit_memory(event.task);
  if (event.task.options)
    for (core::Parent& parent : event.task.options->parents) {
      if (core_.find_live(parent.task)) continue;
      const Record* record = store_.find(parent.task);
      // One that is known no more ended long ago; how, nobody can say.
      parent.succeeded = record && record->task.state == core::TaskState::succeeded;
    }
  // What was only queued is so again, and need not be written.
  const bool waits_for_others = event.task.options && !event.task.options->parents.empty();
  const bool waits_for_group = event.task.options && !event.task.options->after_group.empty();
  const bool as_stored =
      event.task.state != core::TaskState::running && !waits_for_others && !waits_for_group;
  event.task.unsaved = as_stored;
  const core::Sequence number = event.task.sequence();
  post(std::move(event));
  if (core::Task* task = as_stored ? core_.find_live(number) : nullptr) task->unsaved = false;
  pass(FailPoint::task_recovered);
}

}  // namespace poold::engine
