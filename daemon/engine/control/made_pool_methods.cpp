// Pools: Create, of a template of the configuration, and Delete.
#include <algorithm>

#include "daemon/engine/control/pool_message.hpp"
#include "daemon/engine/control/router.hpp"
#include "poold/v1/pools.pb.h"

namespace poold::engine {
namespace {

using CallPtr = std::shared_ptr<Call>;
// Pools that one user may have made, and all users together: each costs processes.
constexpr std::uint32_t user_pools_max = 100, made_pools_max = 1000;
constexpr std::uint32_t workers_max = 10'000;
constexpr std::size_t name_size_max = 63;

bool letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool name_valid(const std::string& name) {
  return !name.empty() && name.size() <= name_size_max && letter_or_digit(name[0]) &&
         std::ranges::all_of(name,
                             [](char c) { return letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
}

bool taken(const Backend& backend, const std::string& name) {
  const auto pool = backend.state().pool_names.find(name);
  return pool != backend.state().pool_names.end() && !gone(backend.state().pools[pool->second]);
}

// Names of pools that have gone come again, so that tables by name do not grow for ever.
std::string free_name(const Backend& backend, const std::string& base) {
  const std::string stem = base.substr(0, name_size_max - 6) + '-';
  for (std::uint32_t number = 1;; ++number)
    if (std::string name = stem + std::to_string(number); !taken(backend, name)) return name;
}

// The tasks that have not ended are cancelled: all, and the pool's processes, or those that do not run.
void remove_now(Backend& backend, core::PoolIndex pool, bool running_too) {
  std::vector<core::Sequence> tasks;
  const std::string processes = backend.state().pools[pool].settings.name + process_mark;
  backend.state().tasks.each([&](const core::Task& task) {
    const bool own = task.pool == pool && (running_too || task.state != core::TaskState::running);
    const bool process = running_too && backend.state().pools[task.pool].settings.name.starts_with(processes);
    if (own || process) tasks.push_back(task.sequence());
    return true;
  });
  backend.remove_pool(pool);
  for (const core::Sequence task : tasks) backend.post(core::Cancel{task});
}

// A pool that goes with the connection that made it.
class BoundPool : public Belonging {
 public:
  BoundPool(Backend& backend, core::PoolIndex pool)
      : backend_(backend), pool_(pool), number_(backend.made_pool(pool)->number) {}
  void on_gone(bool) override {
    // Somebody may have deleted it, and another may have made one of its name.
    const MadePool* made = backend_.made_pool(pool_);
    if (!made || made->number != number_ || backend_.state().pools[pool_].removed) return;
    remove_now(backend_, pool_, true);
  }

 private:
  Backend& backend_;
  const core::PoolIndex pool_;
  const std::uint64_t number_;
};

// Nothing if there is room for one more.
std::optional<ConnectError> check_room(const Backend& backend, std::uint32_t uid, std::uint32_t workers) {
  std::uint32_t own = 0, all = 0, processes = 0;
  for (core::PoolIndex index = 0; index < backend.state().pools.size(); ++index) {
    const core::Pool& pool = backend.state().pools[index];
    if (gone(pool)) continue;
    processes += pool.size;
    const MadePool* made = backend.made_pool(index);
    if (!made || made->process) continue;
    ++all;
    if (made->uid == uid) ++own;
  }
  if (own >= user_pools_max || all >= made_pools_max)
    return ConnectError{Code::resource_exhausted, own >= user_pools_max
                                                      ? "you have made as many pools as one user may (100)"
                                                      : "there are as many made pools as may be (1000)"};
  if (processes + workers > workers_max)
    return ConnectError{Code::resource_exhausted, "workers: all pools together have at most 10000"};
  if (const auto complaint = beyond_all(backend.state(), std::nullopt, workers))
    return ConnectError{Code::resource_exhausted, *complaint};
  return std::nullopt;
}

void create(Backend& backend, const CallPtr& call, const v1::CreatePoolRequest& request) {
  if (request.template_().empty())
    return call->fail(Code::invalid_argument, "template: empty; a key of the configuration's templates");
  const auto workers_of = backend.template_workers(request.template_());
  if (!workers_of)
    return call->fail(Code::not_found, "template: there is no template " + quoted(request.template_()));
  if (!request.name().empty() && !name_valid(request.name()))
    return call->fail(Code::invalid_argument,
                      "name: 1 to 63 letters, digits, '.', '_' and '-', beginning with a letter or digit");
  if (request.workers() > *workers_of)
    return call->fail(Code::invalid_argument, "workers: at most " + std::to_string(*workers_of) +
                                                  " in template " + quoted(request.template_()));
  if (!request.name().empty() && taken(backend, request.name()))
    return call->fail(Code::already_exists, "name: there is a pool " + quoted(request.name()) + " already");
  MadePool pool;
  pool.name = request.name().empty() ? free_name(backend, request.template_()) : request.name();
  pool.base = request.template_();
  pool.of_template = true;
  pool.workers = request.workers() > 0 ? request.workers() : *workers_of;
  pool.uid = call->peer().uid;
  pool.temporary = request.temporary();
  if (auto error = check_room(backend, pool.uid, pool.workers)) return call->fail(*error);
  const core::PoolIndex index = backend.make_pool(pool);
  if (pool.temporary) call->keep(std::make_shared<BoundPool>(backend, index));
  v1::PoolResponse response;
  fill_pool(backend, index, *response.mutable_pool());
  call->reply(response);
}

void remove(Backend& backend, const CallPtr& call, const v1::DeletePoolRequest& request) {
  const auto known = backend.state().pool_names.find(request.name());
  const MadePool* made =
      known == backend.state().pool_names.end() ? nullptr : backend.made_pool(known->second);
  const bool there = taken(backend, request.name()) && !(made && made->process);
  if (!there) return call->fail(Code::not_found, "name: there is no pool " + quoted(request.name()));
  if (!made)
    return call->fail(Code::failed_precondition,
                      "name: pool " + quoted(request.name()) +
                          " is the configuration's; it goes when it is taken out there");
  if (!call->rights().may_change_what_is_of(made->uid))
    return call->fail(Code::permission_denied,
                      "name: pool " + quoted(request.name()) + " is of uid " + std::to_string(made->uid));
  remove_now(backend, known->second, request.now());
  call->reply(v1::DeletePoolResponse());
}

}  // namespace

void add_made_pool_methods(Router& router) {
  Backend& backend = router.backend();
  router.method<v1::CreatePoolRequest>(
      "Pools/Create", [&backend](auto& call, auto& request) { create(backend, call, request); });
  router.method<v1::DeletePoolRequest>(
      "Pools/Delete", [&backend](auto& call, auto& request) { remove(backend, call, request); });
}

}  // namespace poold::engine
