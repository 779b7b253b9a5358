// Tasks/Wait: a call that is answered when tasks have ended.
#include <google/protobuf/util/time_util.h>

#include <boost/asio/steady_timer.hpp>
#include <vector>

#include "daemon/engine/control/group_methods.hpp"
#include "daemon/engine/control/router.hpp"
#include "daemon/engine/control/task_message.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::engine {
namespace {

constexpr int wait_ids_max = 10'000;

class WaitCall : public Watcher, public std::enable_shared_from_this<WaitCall> {
 public:
  WaitCall(Backend& backend, std::shared_ptr<Call> call, std::vector<TaskId> ids, bool any)
      : backend_(backend), call_(std::move(call)), ids_(std::move(ids)), any_(any), timer_(backend.loop()) {}

  void start(std::optional<std::int64_t> timeout_ns) {
    std::size_t ended = 0;
    for (const TaskId& id : ids_) {
      if (find_task(backend_, id).live) {
        backend_.watch(sequence_of(id), weak_from_this());
      } else {
        ++ended;
      }
    }
    running_ = ids_.size() - ended;
    if (running_ == 0 || (any_ && ended > 0) || (timeout_ns && *timeout_ns <= 0)) return answer();
    if (!timeout_ns) return;
    timer_.expires_after(std::chrono::nanoseconds(*timeout_ns));
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (error || !self) return;
      self->backend_.now();
      self->answer();
    });
  }

  void on_ended(const Record&) override {
    // An id may be named twice: it is watched twice, and ends twice.
    if (running_ > 0) --running_;
    if (running_ == 0 || any_) answer();
  }

 private:
  void answer() {
    if (std::exchange(answered_, true)) return;
    timer_.cancel();
    v1::WaitResponse response;
    for (const TaskId& id : ids_) {
      // One that ended while the call waited may have been forgotten since; what is known of it is its id.
      const Found found = find_task(backend_, id);
      v1::Task& task = *response.add_tasks();
      if (found.task()) fill_task(backend_, found, task);
      task.set_id(to_string(id));
    }
    call_->reply(response);
  }

  Backend& backend_;
  std::shared_ptr<Call> call_;
  std::vector<TaskId> ids_;
  const bool any_;
  bool answered_ = false;
  std::size_t running_ = 0;
  boost::asio::steady_timer timer_;
};

void wait(Backend& backend, const std::shared_ptr<Call>& call, const v1::WaitRequest& request) {
  std::optional<std::int64_t> timeout_ns;
  if (request.has_timeout()) {
    timeout_ns = google::protobuf::util::TimeUtil::DurationToNanoseconds(request.timeout());
    if (*timeout_ns < 0) return call->fail(Code::invalid_argument, "timeout: negative");
  }
  if (!request.group().empty()) return wait_for_group(backend, call, request, timeout_ns);
  if (request.ids_size() == 0) return call->fail(Code::invalid_argument, "ids: empty");
  if (request.ids_size() > wait_ids_max) return call->fail(Code::invalid_argument, "ids: more than 10000");
  std::vector<TaskId> ids;
  for (const std::string& text : request.ids()) {
    const auto id = parse_task_id(text);
    const core::Task* task = id ? find_task(backend, *id).task() : nullptr;
    if (!task || !call->rights().may_see(*task))
      return call->fail(Code::not_found, "ids: there is no task " + quoted(text));
    ids.push_back(*id);
  }
  const auto waiting = std::make_shared<WaitCall>(backend, call, std::move(ids), request.any());
  call->hold(waiting);
  waiting->start(timeout_ns);
}

}  // namespace

void add_wait_method(Router& router) {
  Backend& backend = router.backend();
  router.method<v1::WaitRequest>("Tasks/Wait",
                                 [&backend](auto& call, auto& request) { wait(backend, call, request); });
}

}  // namespace poold::engine
