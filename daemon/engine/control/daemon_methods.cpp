// Daemon: GetInfo, Reload, Upgrade, Stop, and /healthz.
#include <google/protobuf/util/time_util.h>
#include <unistd.h>

#include "common/frame.hpp"
#include "common/version.hpp"
#include "daemon/engine/control/router.hpp"
#include "daemon/engine/control/submission.hpp"

namespace poold::engine {
namespace {

using google::protobuf::util::TimeUtil;
using CallPtr = std::shared_ptr<Call>;

void get_info(Backend& backend, const CallPtr& call, bool with_busy) {
  const DaemonFacts& facts = backend.facts();
  v1::GetInfoResponse response;
  response.set_version(POOLD_VERSION);
  response.set_pid(facts.supervisor_pid);
  response.set_engine_pid(::getpid());
  *response.mutable_started_at() = TimeUtil::MillisecondsToTimestamp(facts.supervisor_started_unix_ms);
  *response.mutable_engine_started_at() = TimeUtil::MillisecondsToTimestamp(facts.engine_started_unix_ms);
  response.set_engine_restarts(facts.engine_restarts);
  v1::PeerLimits& limits = *response.mutable_limits();
  limits.set_frame_bytes(frame_payload_max);
  limits.set_header_bytes(http_header_max);
  limits.set_name_bytes(name_bytes_max);
  limits.set_batch_tasks(10'000);
  limits.set_wait_ids(10'000);
  limits.set_page_size(1000);
  limits.set_labels(labels_max);
  limits.set_connections(backend.connections_max());
  response.add_extensions("poold-frames/1");
  response.set_stopping(backend.state().stopping);
  response.set_degraded(backend.store_trouble());
  response.set_upgrade_error(facts.upgrade_error);
  response.set_state_directory(facts.state_directory);
  response.set_socket(facts.socket_path);
  response.set_configuration(facts.configuration_path);
  if (with_busy)
    *response.mutable_busy() = TimeUtil::NanosecondsToDuration(
        static_cast<std::int64_t>(backend.measurements().turns.sum_seconds() * 1e9));
  call->reply(response);
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

void reload(Backend& backend, const CallPtr& call) {
  backend.reload([call](bool ok, std::vector<std::string> lines) {
    if (!ok) return call->fail(Code::invalid_argument, joined(lines));
    v1::ReloadResponse response;
    for (std::string& line : lines) response.add_changes(std::move(line));
    call->reply(response);
  });
}

void stop(Backend& backend, const CallPtr& call, const v1::StopRequest& request) {
  std::optional<std::int64_t> timeout_ms;
  if (request.has_timeout()) {
    timeout_ms = TimeUtil::DurationToMilliseconds(request.timeout());
    if (*timeout_ms < 0) return call->fail(Code::invalid_argument, "timeout: negative");
  }
  backend.request_stop(request.now(), timeout_ms);
  call->reply(v1::StopResponse());
}

void upgrade(Backend& backend, const CallPtr& call) {
  backend.upgrade([call](const std::string& refusal) {
    if (!refusal.empty()) return call->fail(Code::unavailable, refusal);
    v1::UpgradeResponse response;
    response.set_engine_pid(::getpid());
    call->reply(response);
  });
}

}  // namespace

void add_daemon_methods(Router& router) {
  Backend& backend = router.backend();
  router.method<v1::GetInfoRequest>("Daemon/GetInfo", [&backend](auto& call, auto& request) {
    get_info(backend, call, request.with_busy());
  });
  router.method<v1::ReloadRequest>("Daemon/Reload", [&backend](auto& call, auto&) { reload(backend, call); });
  router.method<v1::UpgradeRequest>("Daemon/Upgrade",
                                    [&backend](auto& call, auto&) { upgrade(backend, call); });
  router.method<v1::StopRequest>("Daemon/Stop",
                                 [&backend](auto& call, auto& request) { stop(backend, call, request); });
  router.alias("/v1/info", [&backend](const CallPtr& call) { get_info(backend, call, false); });
  router.alias("/healthz", [&backend](const CallPtr& call) {
    if (backend.state().stopping) return call->reply_text(503, "text/plain", "stopping\n");
    // It lives, and pools in memory work: restarting it would help nobody.
    const std::string& trouble = backend.store_trouble();
    call->reply_text(200, "text/plain", trouble.empty() ? "ok\n" : "degraded: " + trouble + "\n");
  });
}

}  // namespace poold::engine
