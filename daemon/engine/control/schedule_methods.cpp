// Schedules: List, Add, Remove, Run.
#include "daemon/engine/control/router.hpp"
#include "daemon/engine/control/schedule_book.hpp"

namespace poold::engine {
namespace {

using CallPtr = std::shared_ptr<Call>;

void list(Backend& backend, const CallPtr& call) {
  v1::ListSchedulesResponse response;
  for (const auto& [name, schedule] : backend.schedules().all())
    backend.schedules().fill(name, *response.add_schedules());
  call->reply(response);
}

void add(Backend& backend, const CallPtr& call, const v1::AddScheduleRequest& request) {
  if (const auto error = backend.schedules().add(request.schedule(), call->peer().uid, request.replace()))
    return call->fail(*error);
  v1::ScheduleResponse response;
  backend.schedules().fill(request.schedule().name(), *response.mutable_schedule());
  backend.after_commit([call, response] { call->reply(response); });
}

void remove(Backend& backend, const CallPtr& call, const v1::RemoveScheduleRequest& request) {
  if (const auto error = backend.schedules().remove(request.name())) return call->fail(*error);
  backend.after_commit([call] { call->reply(v1::RemoveScheduleResponse()); });
}

void run(Backend& backend, const CallPtr& call, const v1::RunScheduleRequest& request) {
  const auto submitted = backend.schedules().run(request.name());
  if (const auto* error = std::get_if<ConnectError>(&submitted)) return call->fail(*error);
  v1::RunScheduleResponse response;
  response.set_id(to_string(std::get<TaskId>(submitted)));
  backend.after_commit([call, response] { call->reply(response); });
}

}  // namespace

void add_schedule_methods(Router& router) {
  Backend& backend = router.backend();
  router.method<v1::ListSchedulesRequest>("Schedules/List",
                                          [&backend](auto& call, auto&) { list(backend, call); });
  router.method<v1::AddScheduleRequest>(
      "Schedules/Add", [&backend](auto& call, auto& request) { add(backend, call, request); });
  router.method<v1::RemoveScheduleRequest>(
      "Schedules/Remove", [&backend](auto& call, auto& request) { remove(backend, call, request); });
  router.method<v1::RunScheduleRequest>(
      "Schedules/Run", [&backend](auto& call, auto& request) { run(backend, call, request); });
}

}  // namespace poold::engine
