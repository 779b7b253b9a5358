// Semaphores: List, Create, Delete, Acquire, Release.
#include <set>

#include "daemon/engine/control/submission_options.hpp"
#include "daemon/engine/control/sync_desk.hpp"
#include "poold/v1/semaphores.pb.h"

namespace poold::engine {
namespace {

using CallPtr = std::shared_ptr<Call>;
using DeskPtr = std::shared_ptr<SyncDesk>;
constexpr int releases_max = 16;

void fill(const sync::Semaphore& semaphore, v1::Semaphore& message) {
  message.set_name(semaphore.settings.name);
  message.set_permits(semaphore.free);
  message.set_permits_max(semaphore.settings.permits_max);
  for (const sync::Holding& holding : semaphore.holdings) {
    v1::Semaphore::Holder& holder = *message.add_holders();
    holder.set_pid(holding.holder.pid);
    holder.set_uid(holding.holder.uid);
    holder.set_permits(holding.permits);
  }
  message.set_waiting(static_cast<std::uint32_t>(semaphore.line.size()));
  message.set_uid(semaphore.settings.uid);
  message.set_temporary(semaphore.settings.bound_to != 0);
  message.set_shared(semaphore.settings.shared);
  message.set_returned(semaphore.returned);
}

// Nothing if the caller may acquire and release.
std::optional<ConnectError> refusal_to(const DeskPtr& desk, const CallPtr& call, std::string_view field,
                                       const std::string& name) {
  return refusal_to_use(*call, {field, "semaphore", name}, owned(desk->semaphores().find(name)));
}

void list(const DeskPtr& desk, const CallPtr& call, const v1::ListSemaphoresRequest& request) {
  v1::ListSemaphoresResponse response;
  for (const auto& [name, semaphore] : desk->semaphores().all())
    if (may_see(*call, *owned(semaphore.get())) && (request.name().empty() || request.name() == name))
      fill(*semaphore, *response.add_semaphores());
  call->reply(response);
}

void create(const DeskPtr& desk, const CallPtr& call, const v1::CreateSemaphoreRequest& request) {
  if (!request.name().empty())
    if (auto complaint = check_limit_name("name", request.name()))
      return call->fail(Code::invalid_argument, *complaint);
  sync::SemaphoreSettings settings;
  settings.name = request.name().empty() ? desk->unused_name("semaphore") : request.name();
  if (request.permits_max() > sync::permits_max)
    return call->fail(Code::invalid_argument, "permitsMax: more than 2147483647");
  if (request.permits_max() > 0) settings.permits_max = request.permits_max();
  settings.permits = request.has_permits() ? request.permits() : 1;
  if (settings.permits > settings.permits_max)
    return call->fail(Code::invalid_argument, "permits: more than permitsMax");
  settings.uid = call->peer().uid;
  settings.shared = request.shared();
  if (request.temporary()) settings.bound_to = desk->holder(call).number;
  const std::string name = settings.name;
  const sync::Refusal refusal = desk->create(std::move(settings));
  const bool existed = refusal == sync::Refusal::exists && request.or_open();
  if (refusal != sync::Refusal::none && !existed)
    return call->fail(explain({"name", "semaphore", name}, refusal));
  if (existed)
    if (auto error = refusal_to(desk, call, "name", name)) return call->fail(*error);
  v1::CreateSemaphoreResponse response;
  fill(*desk->semaphores().find(name), *response.mutable_semaphore());
  response.set_existed(existed);
  call->reply(response);
}

void remove(const DeskPtr& desk, const CallPtr& call, const v1::DeleteSemaphoreRequest& request) {
  if (auto error = refusal_to(desk, call, "name", request.name())) return call->fail(*error);
  const SyncObject object{"name", "semaphore", request.name()};
  if (auto error = refusal_to_delete(*call, object, *owned(desk->semaphores().find(request.name()))))
    return call->fail(*error);
  desk->remove_semaphore(request.name());
  call->reply(v1::DeleteSemaphoreResponse());
}

sync::Release read_release(const v1::ReleaseSemaphoreRequest& request) {
  return {request.semaphore(), std::max(1u, request.count()), request.waiters_only(), request.clamp(),
          request.own_only()};
}

// Nothing happens unless all of them are possible.
std::optional<ConnectError> check_releases(const DeskPtr& desk, const CallPtr& call,
                                           const v1::AcquireRequest& request) {
  if (request.release_size() > releases_max)
    return ConnectError{Code::invalid_argument, "release: more than 16"};
  std::set<std::string> names;
  for (const v1::ReleaseSemaphoreRequest& release : request.release()) {
    if (auto error = refusal_to(desk, call, "release.semaphore", release.semaphore())) return error;
    if (!names.insert(release.semaphore()).second)
      return ConnectError{Code::invalid_argument,
                          "release: " + quoted(release.semaphore()) + " stands twice"};
    const auto refusal = desk->semaphores().refusal_of(desk->holder(call), read_release(release));
    if (refusal != sync::Refusal::none)
      return explain({"release.semaphore", "semaphore", release.semaphore()}, refusal);
  }
  return std::nullopt;
}

void acquire(const DeskPtr& desk, const CallPtr& call, const v1::AcquireRequest& request) {
  const std::string name = request.semaphore();
  if (auto error = refusal_to(desk, call, "semaphore", name)) return call->fail(*error);
  if (request.consume() && request.only_wait())
    return call->fail(Code::invalid_argument, "onlyWait: at most one of consume and onlyWait");
  SyncDesk::Timeout timeout;
  if (auto error = read_timeout(request.has_timeout(), request.timeout(), timeout)) return call->fail(*error);
  const std::uint32_t count = std::max(1u, request.count());
  if (count > desk->semaphores().find(name)->settings.permits_max)
    return call->fail(explain({"semaphore", "semaphore", name}, sync::Refusal::never_enough));
  if (auto error = check_releases(desk, call, request)) return call->fail(*error);
  for (const v1::ReleaseSemaphoreRequest& release : request.release())
    desk->release(desk->holder(call), read_release(release));
  const sync::Taking taking = request.consume()     ? sync::Taking::consume
                              : request.only_wait() ? sync::Taking::none
                                                    : sync::Taking::hold;
  desk->acquire(call, name, count, taking, timeout, [call, name](const sync::SemaphoreAnswer& answer) {
    if (answer.refusal != sync::Refusal::none)
      return call->fail(explain({"semaphore", "semaphore", name}, answer.refusal));
    v1::AcquireResponse response;
    response.set_acquired(answer.acquired);
    call->reply(response);
  });
}

void release(const DeskPtr& desk, const CallPtr& call, const v1::ReleaseSemaphoreRequest& request) {
  if (auto error = refusal_to(desk, call, "semaphore", request.semaphore())) return call->fail(*error);
  const auto released = desk->release(desk->holder(call), read_release(request));
  if (const auto* refusal = std::get_if<sync::Refusal>(&released))
    return call->fail(explain({"semaphore", "semaphore", request.semaphore()}, *refusal));
  v1::ReleaseSemaphoreResponse response;
  response.set_released(std::get<std::uint32_t>(released));
  call->reply(response);
}

}  // namespace

void add_semaphore_methods(Router& router, const std::shared_ptr<SyncDesk>& desk) {
  router.method<v1::ListSemaphoresRequest>("Semaphores/List",
                                           [desk](auto& call, auto& request) { list(desk, call, request); });
  router.method<v1::CreateSemaphoreRequest>(
      "Semaphores/Create", [desk](auto& call, auto& request) { create(desk, call, request); });
  router.method<v1::DeleteSemaphoreRequest>(
      "Semaphores/Delete", [desk](auto& call, auto& request) { remove(desk, call, request); });
  router.method<v1::AcquireRequest>("Semaphores/Acquire",
                                    [desk](auto& call, auto& request) { acquire(desk, call, request); });
  router.method<v1::ReleaseSemaphoreRequest>(
      "Semaphores/Release", [desk](auto& call, auto& request) { release(desk, call, request); });
}

}  // namespace poold::engine
