// Limits: List, Set, Remove.
#include <google/protobuf/util/time_util.h>

#include "daemon/engine/control/router.hpp"
#include "daemon/engine/control/submission_options.hpp"
#include "poold/v1/limits.pb.h"

namespace poold::engine {
namespace {

using CallPtr = std::shared_ptr<Call>;
using google::protobuf::util::TimeUtil;

void fill(const core::Limit& limit, v1::Limit& message) {
  message.set_name(limit.settings.name);
  message.set_size(limit.settings.size);
  if (const core::Rate& rate = limit.settings.rate) {
    message.mutable_rate()->set_count(rate.count);
    *message.mutable_rate()->mutable_per() = TimeUtil::NanosecondsToDuration(rate.per.count());
    message.mutable_rate()->set_burst(rate.burst);
  }
  message.set_used(limit.used);
  std::uint32_t waiting = 0;
  for (const auto& [pool, parked] : limit.parked) waiting += parked.queue.size() + parked.offered_starts;
  message.set_waiting(waiting);
  message.set_set(limit.set);
}

void list(Backend& backend, const CallPtr& call, const v1::ListLimitsRequest&) {
  v1::ListLimitsResponse response;
  for (const auto& [name, limit] : backend.state().limits) fill(*limit, *response.add_limits());
  call->reply(response);
}

void set(Backend& backend, const CallPtr& call, const v1::SetLimitRequest& request) {
  if (auto complaint = check_limit_name("name", request.name()))
    return call->fail(Code::invalid_argument, *complaint);
  core::LimitSettings settings;
  settings.name = request.name();
  settings.size = request.has_size() ? request.size() : 1;
  if (settings.size > core::limit_size_max) return call->fail(Code::invalid_argument, "size: 0 to 1000000");
  if (request.has_rate()) {
    const auto rate = read_rate(request.rate());
    if (const auto* error = std::get_if<ConnectError>(&rate)) return call->fail(*error);
    settings.rate = std::get<core::Rate>(rate);
  }
  backend.post(core::SetLimit{settings});
  v1::SetLimitResponse response;
  fill(*backend.state().limits.at(request.name()), *response.mutable_limit());
  call->reply(response);
}

void remove(Backend& backend, const CallPtr& call, const v1::RemoveLimitRequest& request) {
  const auto known = backend.state().limits.find(request.name());
  if (known == backend.state().limits.end() || !known->second->set)
    return call->fail(Code::not_found, "name: nobody has set a limit " + quoted(request.name()));
  backend.post(core::RemoveLimit{request.name()});
  call->reply(v1::RemoveLimitResponse());
}

}  // namespace

void add_limit_methods(Router& router) {
  Backend& backend = router.backend();
  router.method<v1::ListLimitsRequest>(
      "Limits/List", [&backend](auto& call, auto& request) { list(backend, call, request); });
  router.method<v1::SetLimitRequest>("Limits/Set",
                                     [&backend](auto& call, auto& request) { set(backend, call, request); });
  router.method<v1::RemoveLimitRequest>(
      "Limits/Remove", [&backend](auto& call, auto& request) { remove(backend, call, request); });
}

}  // namespace poold::engine
