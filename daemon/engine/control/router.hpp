// Which handler answers which request.
//
// Connect's unary calls are POSTs to /poold.v1.Service/Method; a few readable GETs answer from the same
// handlers. Services register their methods at start; what nobody registered is `unimplemented`.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "daemon/engine/control/backend.hpp"
#include "daemon/engine/control/call.hpp"

namespace poold::engine {

class SyncDesk;

class Router {
 public:
  using Handler = std::function<void(const std::shared_ptr<Call>&)>;

  explicit Router(Backend& backend);

  Backend& backend() { return backend_; }
  void route(const std::shared_ptr<Call>& call);
  SyncDesk& sync() { return *sync_; }
  // A number for a new connection.
  std::uint64_t next_connection() { return ++last_connection_; }

  // A unary method: `handler` gets the decoded request and the call to answer.
  template <class Request>
  void method(const std::string& name,
              std::function<void(const std::shared_ptr<Call>&, const Request&)> handler) {
    methods_[name] = [handler = std::move(handler)](const std::shared_ptr<Call>& call) {
      Request request;
      if (auto error = decode(call->format(), call->request().body, request)) return call->fail(*error);
      handler(call, request);
    };
  }
  // A GET alias. A path that ends with a slash matches everything below it.
  void alias(const std::string& path, Handler handler) { aliases_[path] = std::move(handler); }

 private:
  void route_method(const std::shared_ptr<Call>& call);
  void route_alias(const std::shared_ptr<Call>& call);

  Backend& backend_;
  std::shared_ptr<SyncDesk> sync_;
  std::uint64_t last_connection_ = 0;
  std::unordered_map<std::string, Handler> methods_;
  std::unordered_map<std::string, Handler> aliases_;
};

// Each registers its methods and aliases.
void add_task_methods(Router& router);
void add_wait_method(Router& router);
void add_group_methods(Router& router);
void add_hold_methods(Router& router);
void add_limit_methods(Router& router);
std::shared_ptr<SyncDesk> add_sync_methods(Router& router);  // queues and semaphores
void add_schedule_methods(Router& router);
void add_pool_methods(Router& router);
void add_made_pool_methods(Router& router);  // Pools: Create, Delete
void add_process_methods(Router& router);
void add_daemon_methods(Router& router);
void add_text_streams(Router& router);
// /v1/tasks/{id}/logs: what there is, or with ?follow=1 everything until the task has ended.
void stream_logs(Backend& backend, const std::shared_ptr<Call>& call, const std::string& id);
void add_metrics(Router& router);

}  // namespace poold::engine
