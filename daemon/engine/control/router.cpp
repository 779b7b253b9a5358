#include "daemon/engine/control/router.hpp"

#include <optional>

namespace poold::engine {
namespace {

constexpr std::string_view package_prefix = "/poold.v1.";

std::optional<Format> format_of(std::string_view content_type) {
  if (content_type == "application/json") return Format::json;
  if (content_type == "application/proto") return Format::proto;
  return std::nullopt;
}

bool permit(const std::shared_ptr<Call>& call, const std::string& name) {
  const Need need = need_of(name);
  if (call->rights().allow(need)) return true;
  call->fail(Code::permission_denied, "uid " + std::to_string(call->peer().uid) + " may not call " + name +
                                          ": it takes " + describe(need));
  return false;
}

}  // namespace

Router::Router(Backend& backend) : backend_(backend) {
  add_task_methods(*this);
  add_wait_method(*this);
  add_group_methods(*this);
  add_hold_methods(*this);
  add_limit_methods(*this);
  sync_ = add_sync_methods(*this);
  add_schedule_methods(*this);
  add_pool_methods(*this);
  add_made_pool_methods(*this);
  add_process_methods(*this);
  add_daemon_methods(*this);
  add_text_streams(*this);
  add_metrics(*this);
  alias("/v1/stream", [](const std::shared_ptr<Call>& call) {
    if (call->request().upgrade == "poold-frames/1") return call->upgrade();
    call->reply_text(426, "application/json",
                     error_body({Code::invalid_argument,
                                 "Upgrade: expected 'poold-frames/1' with 'Connection: Upgrade'"}));
  });
}

void Router::route(const std::shared_ptr<Call>& call) {
  if (!call->rights().allow(Need::any_role))
    return call->fail(Code::permission_denied,
                      "uid " + std::to_string(call->peer().uid) +
                          " may not use this daemon; the key access of its configuration "
                          "gives users and groups their roles");
  if (call->request().path.starts_with(package_prefix)) return route_method(call);
  route_alias(call);
}

void Router::route_method(const std::shared_ptr<Call>& call) {
  const HttpRequest& request = call->request();
  const auto method = methods_.find(request.path.substr(package_prefix.size()));
  if (method == methods_.end())
    return call->fail(Code::unimplemented,
                      "there is no method " + quoted(request.path.substr(1)) + " in this version");
  if (!permit(call, method->first)) return;
  if (request.method != "POST") {
    const std::string body =
        error_body({Code::unimplemented, "methods are called by POST, not " + request.method});
    return call->reply_text(405, "application/json", body, "POST");
  }
  if (!request.content_encoding.empty() && request.content_encoding != "identity")
    return call->fail(Code::unimplemented,
                      "Content-Encoding: only identity is accepted, not " + request.content_encoding);
  const auto format = format_of(request.content_type);
  if (!format) {
    const std::string body =
        error_body({Code::invalid_argument, "Content-Type: '" + request.content_type +
                                                "'; accepted: application/json, application/proto"});
    return call->reply_text(415, "application/json", body);
  }
  call->set_format(*format);
  method->second(call);
}

void Router::route_alias(const std::shared_ptr<Call>& call) {
  const HttpRequest& request = call->request();
  auto alias = aliases_.find(request.path);
  if (alias == aliases_.end()) {
    const std::size_t slash = request.path.find('/', std::string_view("/v1/").size());
    if (request.path.starts_with("/v1/") && slash != std::string::npos)
      alias = aliases_.find(request.path.substr(0, slash + 1));
  }
  if (alias == aliases_.end())
    return call->fail(Code::not_found, "there is nothing at " + quoted(request.path));
  if (!permit(call, alias->first)) return;
  if (request.method != "GET") {
    const std::string body =
        error_body({Code::unimplemented, request.path + " is read by GET, not " + request.method});
    return call->reply_text(405, "application/json", body, "GET");
  }
  alias->second(call);
}

}  // namespace poold::engine
