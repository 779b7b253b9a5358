// Tasks/Wait: a call that is answered when tasks have ended.
#include <google/protobuf/util/time_util.h>

#include <utility>
#include <vector>

#include "daemon/engine/control/end_waiter.hpp"
#include "daemon/engine/control/group_methods.hpp"
#include "daemon/engine/control/router.hpp"
#include "daemon/engine/control/task_message.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::engine {
namespace {

constexpr int wait_ids_max = 10'000;

class WaitForTasks : public EndWaiter {
 public:
  WaitForTasks(Backend& backend, std::shared_ptr<Call> call, std::vector<TaskId> ids, bool any)
      : EndWaiter(backend, std::move(call), any), ids_(std::move(ids)) {
    for (const TaskId& id : ids_) backend.keep(sequence_of(id));
  }
  ~WaitForTasks() override { release(); }

  void start(std::optional<std::int64_t> timeout_ns) {
    std::vector<core::Sequence> unfinished;
    for (const TaskId& id : ids_)
      if (find_task(backend(), id).live) unfinished.push_back(sequence_of(id));
    begin(unfinished, unfinished.size() < ids_.size(), timeout_ns);
  }

 private:
  void reply(Call& call) override {
    v1::WaitResponse response;
    for (const TaskId& id : ids_) {
      // There is a limit to what is kept for those who wait: then what is known of it is its id.
      const Found found = find_task(backend(), id);
      v1::Task& task = *response.add_tasks();
      if (found.task()) fill_task(backend(), found, task, ids_.size() == 1);
      task.set_id(to_string(id));
    }
    release();
    call.reply(response);
  }

  void release() {
    if (std::exchange(released_, true)) return;
    for (const TaskId& id : ids_) backend().release(sequence_of(id));
  }

  std::vector<TaskId> ids_;
  bool released_ = false;
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
  const auto waiting = std::make_shared<WaitForTasks>(backend, call, std::move(ids), request.any());
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
