// Pools and Workers: what there is, and what an operator does with it.
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cstring>

#include "daemon/engine/control/pool_message.hpp"
#include "daemon/engine/control/router.hpp"
#include "poold/v1/pools.pb.h"
#include "poold/v1/workers.pb.h"

namespace poold::engine {
namespace {

using google::protobuf::util::TimeUtil;
using CallPtr = std::shared_ptr<Call>;
constexpr std::uint32_t workers_max = 1000;

// Those of dedicated processes are Processes/List's.
bool is_process(const Backend& backend, core::PoolIndex pool) {
  const MadePool* made = backend.made_pool(pool);
  return made && made->process;
}

std::optional<core::PoolIndex> require_pool(Backend& backend, const CallPtr& call, const std::string& name) {
  const auto pool = backend.state().pool_names.find(name);
  if (pool != backend.state().pool_names.end() && !gone(backend.state().pools[pool->second]) &&
      !is_process(backend, pool->second))
    return pool->second;
  call->fail(Code::not_found, "name: there is no pool " + quoted(name));
  return std::nullopt;
}

void reply_pool(Backend& backend, const CallPtr& call, core::PoolIndex pool) {
  v1::PoolResponse response;
  fill_pool(backend, pool, *response.mutable_pool());
  call->reply(response);
}

// A wish about one pool, answered with the pool as it then is.
template <class Event>
void add_wish(Router& router, const std::string& name) {
  Backend& backend = router.backend();
  router.method<v1::PoolRequest>(name, [&backend](const CallPtr& call, const v1::PoolRequest& request) {
    const auto pool = require_pool(backend, call, request.name());
    if (!pool) return;
    backend.post(Event{*pool});
    reply_pool(backend, call, *pool);
  });
}

void list_pools(Backend& backend, const CallPtr& call) {
  v1::ListPoolsResponse response;
  for (core::PoolIndex pool = 0; pool < backend.state().pools.size(); ++pool)
    if (!gone(backend.state().pools[pool]) && !is_process(backend, pool))
      fill_pool(backend, pool, *response.add_pools());
  call->reply(response);
}

v1::Worker::State state_of_worker(core::WorkerState state) {
  switch (state) {
    case core::WorkerState::vacant:
      return v1::Worker::VACANT;
    case core::WorkerState::starting:
      return v1::Worker::STARTING;
    case core::WorkerState::idle:
      return v1::Worker::IDLE;
    case core::WorkerState::busy:
      return v1::Worker::BUSY;
    case core::WorkerState::retiring:
      return v1::Worker::RETIRING;
    case core::WorkerState::stopping:
      return v1::Worker::STOPPING;
  }
  return v1::Worker::STATE_UNSPECIFIED;
}

void fill_workers(Backend& backend, const core::Pool& pool, v1::ListWorkersResponse& response) {
  for (std::uint32_t number = 0; number < pool.slots.size(); ++number) {
    const core::Slot& slot = pool.slots[number];
    v1::Worker& worker = *response.add_workers();
    worker.set_pool(pool.settings.name);
    worker.set_slot(number);
    worker.set_generation(slot.generation);
    worker.set_pid(slot.pid);
    worker.set_state(state_of_worker(slot.state));
    if (const core::Task* running = slot.held.front()) worker.set_task_id(to_string(running->id));
    worker.set_held(slot.held.empty() ? 0 : slot.held.size() - 1);
    worker.set_finished(slot.finished);
    if (slot.state != core::WorkerState::vacant)
      *worker.mutable_started_at() = TimeUtil::NanosecondsToTimestamp(backend.unix_ns(slot.started_at));
  }
}

void list_workers(Backend& backend, const CallPtr& call, const std::string& name) {
  v1::ListWorkersResponse response;
  if (!name.empty()) {
    const auto pool = require_pool(backend, call, name);
    if (!pool) return;
    fill_workers(backend, backend.state().pools[*pool], response);
    return call->reply(response);
  }
  for (const core::Pool& pool : backend.state().pools)
    if (!gone(pool)) fill_workers(backend, pool, response);
  call->reply(response);
}

}  // namespace

std::optional<std::string> beyond_all(const core::State& state, std::optional<core::PoolIndex> scaled,
                                      std::uint32_t workers) {
  if (state.workers_max == 0) return std::nullopt;
  std::uint32_t least = std::max(1u, workers);
  for (core::PoolIndex index = 0; index < state.pools.size(); ++index) {
    const core::Pool& pool = state.pools[index];
    if (index != scaled && !pool.removed && !pool.settings.one_task) least += std::max(1u, pool.least);
  }
  if (least <= state.workers_max) return std::nullopt;
  return "workers: all pools together would have at least " + std::to_string(least) +
         "; accepted by workers_max: " + std::to_string(state.workers_max);
}

bool gone(const core::Pool& pool) {
  return pool.removed && pool.queue.empty() && pool.running == 0 && core::live_processes(pool) == 0;
}

v1::Pool::State state_of(core::PoolState state) {
  switch (state) {
    case core::PoolState::starting:
      return v1::Pool::STARTING;
    case core::PoolState::ready:
      return v1::Pool::READY;
    case core::PoolState::paused:
      return v1::Pool::PAUSED;
    case core::PoolState::draining:
      return v1::Pool::DRAINING;
    case core::PoolState::throttled:
      return v1::Pool::THROTTLED;
  }
  return v1::Pool::STATE_UNSPECIFIED;
}

void fill_pool(const Backend& backend, core::PoolIndex index, v1::Pool& message) {
  const core::Pool& pool = backend.state().pools[index];
  message.set_name(pool.settings.name);
  message.set_state(state_of(core::state_of(pool)));
  message.set_workers(pool.size);
  message.set_workers_min(pool.min);
  message.set_waiting(pool.waiting.size() + pool.parked);
  message.set_busy(core::busy_workers(pool));
  message.set_queued(pool.queue.size());
  message.set_running(pool.running);
  message.set_kind(backend.runs_commands(index) ? v1::Pool::COMMAND : v1::Pool::FUNCTION);
  message.set_durability(pool.settings.durable ? v1::Pool::DISK : v1::Pool::MEMORY);
  message.set_ready(core::ready_workers(pool));
  message.set_succeeded(pool.counters.succeeded);
  message.set_failed(pool.counters.failed);
  message.set_cancelled(pool.counters.cancelled);
  message.set_refused(pool.counters.refused);
  message.set_workers_lost(pool.counters.workers_lost);
  message.set_queue_size(pool.settings.queue_size);
  for (const std::string& word : backend.program_of(index)) message.add_program(word);
  for (const std::string& type : backend.accepted_types(index)) message.add_accept(type);
  if (const MadePool* made = backend.made_pool(index)) {
    message.set_template_(made->base);
    message.set_uid(made->uid);
    message.set_temporary(made->temporary);
  }
  if (!pool.throttled()) return;
  *message.mutable_throttled_until() =
      TimeUtil::NanosecondsToTimestamp(backend.unix_ns(pool.throttled_until));
  const core::StartFailure& failure = pool.start_failure;
  v1::StartError& error = *message.mutable_start_error();
  if (failure.errno_value != 0) error.set_errno_name(errno_name(failure.errno_value));
  error.set_errno_value(failure.errno_value);
  error.set_path(failure.path);
  error.set_message(failure.message);
  error.set_failures(pool.start_failures);
}

std::string errno_name(int value) {
  const char* name = ::strerrorname_np(value);
  return name ? name : std::to_string(value);
}

void add_pool_methods(Router& router) {
  Backend& backend = router.backend();
  router.method<v1::ListPoolsRequest>("Pools/List",
                                      [&backend](auto& call, auto&) { list_pools(backend, call); });
  router.method<v1::PoolRequest>("Pools/Get",
                                 [&backend](const CallPtr& call, const v1::PoolRequest& request) {
                                   if (const auto pool = require_pool(backend, call, request.name()))
                                     reply_pool(backend, call, *pool);
                                 });
  router.method<v1::ScalePoolRequest>(
      "Pools/Scale", [&backend](const CallPtr& call, const v1::ScalePoolRequest& request) {
        if (request.workers() > workers_max)
          return call->fail(Code::invalid_argument, "workers: more than 1000");
        const auto pool = require_pool(backend, call, request.name());
        if (!pool) return;
        if (const auto complaint = beyond_all(backend.state(), *pool, request.workers()))
          return call->fail(Code::failed_precondition, *complaint);
        backend.post(core::ScalePool{*pool, request.workers()});
        reply_pool(backend, call, *pool);
      });
  router.method<v1::PoolRequest>("Pools/Pause",
                                 [&backend](const CallPtr& call, const v1::PoolRequest& request) {
                                   const auto pool = require_pool(backend, call, request.name());
                                   if (!pool) return;
                                   backend.post(core::PausePool{*pool, call->peer().uid});
                                   reply_pool(backend, call, *pool);
                                 });
  add_wish<core::ResumePool>(router, "Pools/Resume");
  add_wish<core::DrainPool>(router, "Pools/Drain");
  add_wish<core::RecyclePool>(router, "Pools/Recycle");
  router.method<v1::ListWorkersRequest>(
      "Workers/List", [&backend](auto& call, auto& request) { list_workers(backend, call, request.pool()); });
  router.alias("/v1/pools", [&backend](const CallPtr& call) { list_pools(backend, call); });
  router.alias("/v1/workers", [&backend](const CallPtr& call) {
    list_workers(backend, call, query_value(call->request().query, "pool"));
  });
}

}  // namespace poold::engine
