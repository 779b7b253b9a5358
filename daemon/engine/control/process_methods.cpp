// Processes: List, Join, Kill. (Start is in process_start.cpp.)
#include <algorithm>
#include <boost/asio/steady_timer.hpp>

#include "daemon/engine/control/process_message.hpp"
#include "daemon/engine/control/router.hpp"
#include "daemon/engine/control/sync_desk.hpp"

namespace poold::engine {
namespace {

using CallPtr = std::shared_ptr<Call>;
constexpr std::size_t listed_max = 1000;
constexpr int signal_max = 64, sigterm = 15, sigkill = 9;

void list(Backend& backend, const CallPtr& call, const v1::ListProcessesRequest& request) {
  std::vector<core::Sequence> found;
  const auto offer = [&](const core::Task& task) {
    if (is_process(backend, task) && call->rights().may_see(task) &&
        (request.pool().empty() || base_of(backend, task) == request.pool()))
      found.push_back(task.sequence());
  };
  backend.state().tasks.each([&](const core::Task& task) { return offer(task), true; });
  if (request.ended()) backend.store().each([&](const Record& record) { offer(record.task); });
  std::ranges::sort(found, std::greater<>());
  if (found.size() > listed_max) found.resize(listed_max);
  v1::ListProcessesResponse response;
  for (const core::Sequence task : found)
    fill_process(backend, find_task(backend, task), *response.add_processes());
  call->reply(response);
}

// The process, or the call is answered. What one may not see is not there.
Found require_process(Backend& backend, const CallPtr& call, const std::string& text) {
  const auto id = parse_task_id(text);
  const Found found = id ? find_task(backend, *id) : Found{};
  if (found.task() && is_process(backend, *found.task()) && call->rights().may_see(*found.task()))
    return found;
  call->fail(Code::not_found, "id: there is no process " + quoted(text));
  return {};
}

class JoinCall : public Watcher, public std::enable_shared_from_this<JoinCall> {
 public:
  JoinCall(Backend& backend, CallPtr call, core::Sequence task)
      : backend_(backend), call_(std::move(call)), task_(task), timer_(backend.loop()) {}

  void start(const SyncDesk::Timeout& timeout) {
    if (!find_task(backend_, task_).live || (timeout && timeout->count() == 0)) return answer();
    backend_.watch(task_, weak_from_this());
    if (!timeout) return;
    timer_.expires_after(*timeout);
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (error || !self) return;
      self->backend_.now();
      self->answer();
    });
  }
  void on_ended(const Record&) override { answer(); }

 private:
  void answer() {
    if (std::exchange(answered_, true)) return;
    timer_.cancel();
    v1::JoinProcessResponse response;
    fill_process(backend_, find_task(backend_, task_), *response.mutable_process());
    call_->reply(response);
  }

  Backend& backend_;
  CallPtr call_;
  const core::Sequence task_;
  bool answered_ = false;
  boost::asio::steady_timer timer_;
};

void join(Backend& backend, const CallPtr& call, const v1::JoinProcessRequest& request) {
  const Found found = require_process(backend, call, request.id());
  if (!found.task()) return;
  SyncDesk::Timeout timeout;
  if (auto error = read_timeout(request.has_timeout(), request.timeout(), timeout)) return call->fail(*error);
  const auto joining = std::make_shared<JoinCall>(backend, call, found.task()->sequence());
  call->hold(joining);
  joining->start(timeout);
}

void kill(Backend& backend, const CallPtr& call, const v1::KillProcessRequest& request) {
  const Found found = require_process(backend, call, request.id());
  if (!found.task()) return;
  if (!call->rights().may_change(*found.task()))
    return call->fail(Code::permission_denied,
                      "id: the process is another user's; to kill it takes role operate");
  const int signal = request.signal() == 0 ? sigterm : static_cast<int>(std::min(request.signal(), 65u));
  if (signal > signal_max) return call->fail(Code::invalid_argument, "signal: 1 to 64");
  if (!found.live) return call->fail(Code::failed_precondition, "id: the process has ended");
  const core::Task& task = *found.live;
  if (task.state != core::TaskState::running)
    backend.post(core::Cancel{task.sequence()});
  else if (backend.runs_commands(task.pool) && signal != sigkill)
    backend.post(core::SignalTask{task.sequence(), signal});
  else
    backend.signal_worker({task.pool, task.slot, task.generation}, signal);
  call->reply(v1::KillProcessResponse());
}

}  // namespace

void add_process_methods(Router& router) {
  Backend& backend = router.backend();
  router.method<v1::StartProcessRequest>(
      "Processes/Start", [&backend](auto& call, auto& request) { start_process(backend, call, request); });
  router.method<v1::ListProcessesRequest>(
      "Processes/List", [&backend](auto& call, auto& request) { list(backend, call, request); });
  router.method<v1::JoinProcessRequest>(
      "Processes/Join", [&backend](auto& call, auto& request) { join(backend, call, request); });
  router.method<v1::KillProcessRequest>(
      "Processes/Kill", [&backend](auto& call, auto& request) { kill(backend, call, request); });
}

}  // namespace poold::engine
