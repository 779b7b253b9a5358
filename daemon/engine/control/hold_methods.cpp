// Tasks: Hold, Release, Retry, Prune, Explain: changes to what is there, by id or by condition, and why a
// task does not run.
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <functional>

#include "daemon/core/explain.hpp"
#include "daemon/engine/control/router.hpp"
#include "daemon/engine/control/shared_payloads.hpp"
#include "daemon/engine/control/submission.hpp"
#include "daemon/engine/control/task_message.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::engine {
namespace {

using CallPtr = std::shared_ptr<Call>;
using google::protobuf::util::TimeUtil;
constexpr int change_max = 10'000;

// The task, or it has been answered that there is none, or none of the caller's.
Found require_task(Backend& backend, const CallPtr& call, const std::string& text, bool to_change) {
  const auto id = parse_task_id(text);
  const Found found = id ? find_task(backend, *id) : Found{};
  if (!found.task() || !call->rights().may_see(*found.task())) {
    call->fail(Code::not_found, "id: there is no task " + quoted(text));
    return {};
  }
  if (!to_change || call->rights().may_change(*found.task())) return found;
  call->fail(Code::permission_denied, "id: the task is another user's; to change it takes role operate");
  return {};
}

// Either an id or a selector with a condition; else it has been answered.
template <class Request>
bool check_choice(Backend& backend, const CallPtr& call, const Request& request) {
  if (!request.id().empty() && request.has_selector()) {
    call->fail(Code::invalid_argument, "selector: either id or selector");
    return false;
  }
  if (request.id().empty() && (!request.has_selector() || request.selector().ByteSizeLong() == 0)) {
    call->fail(Code::invalid_argument, "selector: at least one condition, or an id");
    return false;
  }
  if (auto error = complaint_about(backend, request.selector())) {
    call->fail(std::move(*error));
    return false;
  }
  return true;
}

// Those live tasks that the selector names and `fits` takes, at most as many as one call changes.
template <class Response>
std::vector<core::Sequence> choose_live(Backend& backend, const CallPtr& call, const v1::Selector& selector,
                                        Response& response, bool (*fits)(const core::Task&)) {
  TaskFilter filter(backend, selector);
  if (!call->rights().changes_everything()) filter.only_of(call->rights().uid());
  std::vector<core::Sequence> chosen;
  backend.state().tasks.each([&](const core::Task& task) {
    if (!fits(task) || !filter.matches(task)) return true;
    if (response.ids_size() == change_max) {
      response.set_more(true);
      return false;
    }
    chosen.push_back(task.sequence());
    response.add_ids(to_string(task.id));
    return true;
  });
  return chosen;
}

bool can_be_held(const core::Task& task) {
  return task.state != core::TaskState::running && !(task.options && task.options->held);
}
bool is_held(const core::Task& task) { return task.options && task.options->held; }

void hold(Backend& backend, const CallPtr& call, const v1::HoldRequest& request) {
  if (!check_choice(backend, call, request)) return;
  v1::HoldResponse response;
  if (request.id().empty()) {
    for (const auto task : choose_live(backend, call, request.selector(), response, can_be_held))
      backend.post(core::Hold{task});
    return backend.after_commit([call, response] { call->reply(response); });
  }
  const Found found = require_task(backend, call, request.id(), true);
  if (!found.task()) return;
  if (!found.live) return call->fail(Code::failed_precondition, "the task has ended");
  if (found.live->state == core::TaskState::running)
    return call->fail(Code::failed_precondition, "the task runs; only one that has not started can be held");
  response.add_ids(request.id());
  backend.post(core::Hold{found.live->sequence()});
  backend.after_commit([call, response] { call->reply(response); });
}

void release(Backend& backend, const CallPtr& call, const v1::ReleaseRequest& request) {
  if (!check_choice(backend, call, request)) return;
  v1::ReleaseResponse response;
  if (request.id().empty()) {
    for (const auto task : choose_live(backend, call, request.selector(), response, is_held))
      backend.post(core::Release{task});
    return backend.after_commit([call, response] { call->reply(response); });
  }
  const Found found = require_task(backend, call, request.id(), true);
  if (!found.task()) return;
  if (!found.live || !is_held(*found.live))
    return call->fail(Code::failed_precondition, "the task is not held");
  response.add_ids(request.id());
  backend.post(core::Release{found.live->sequence()});
  backend.after_commit([call, response] { call->reply(response); });
}

bool can_be_retried(const core::Task& task) {
  return task.state == core::TaskState::failed || task.state == core::TaskState::cancelled;
}

ConnectError refused(const Backend& backend, const core::Task& task, core::Refusal refusal) {
  return explain(backend, core::Refused{0, 0, refusal, task.pool});
}

// Those ended tasks that the selector names and `fits` takes, the first submitted first.
std::vector<core::Sequence> choose_ended(Backend& backend, const CallPtr& call, const v1::Selector& selector,
                                         const std::function<bool(const core::Task&)>& fits) {
  TaskFilter filter(backend, selector);
  if (!call->rights().changes_everything()) filter.only_of(call->rights().uid());
  std::vector<core::Sequence> chosen;
  backend.store().each([&](const Record& record) {
    if (is_over(backend, record) && fits(record.task) && filter.matches(record.task))
      chosen.push_back(record.task.sequence());
  });
  std::ranges::sort(chosen);
  return chosen;
}

void retry_selected(Backend& backend, const CallPtr& call, const v1::Selector& selector) {
  v1::RetryResponse response;
  const auto fits = [](const core::Task& task) { return can_be_retried(task) && !argument_is_gone(task); };
  for (const core::Sequence number : choose_ended(backend, call, selector, fits)) {
    if (response.ids_size() == change_max) {
      response.set_more(true);
      break;
    }
    const core::Task& task = backend.store().find(number)->task;
    if (const auto refusal = core::refusal_of_retry(backend.state(), task)) {
      // Some may have been queued again; then that is the answer, and the next call gets the error.
      if (response.ids_size() == 0) return call->fail(refused(backend, task, *refusal));
      response.set_more(true);
      break;
    }
    response.add_ids(to_string(task.id));
    backend.retry(number);
  }
  backend.after_commit([call, response] { call->reply(response); });
}

void retry(Backend& backend, const CallPtr& call, const v1::RetryRequest& request) {
  if (!check_choice(backend, call, request)) return;
  if (request.id().empty()) return retry_selected(backend, call, request.selector());
  const Found found = require_task(backend, call, request.id(), true);
  if (!found.task()) return;
  if (found.live || !is_over(backend, *found.ended))
    return call->fail(Code::failed_precondition, "the task has not ended");
  const core::Task& task = found.ended->task;
  if (!can_be_retried(task)) return call->fail(Code::failed_precondition, "the task has succeeded");
  if (argument_is_gone(task))
    return call->fail(Code::failed_precondition,
                      "the task's payload was in shared memory, which is closed when a task ends");
  if (const auto refusal = core::refusal_of_retry(backend.state(), task))
    return call->fail(refused(backend, task, *refusal));
  v1::RetryResponse response;
  response.add_ids(request.id());
  backend.retry(task.sequence());
  backend.after_commit([call, response] { call->reply(response); });
}

void prune_selected(Backend& backend, const CallPtr& call, const v1::PruneRequest& request) {
  // Each may have logs to unlink, and others wait meanwhile.
  constexpr std::size_t prune_max = 2'000;
  auto chosen = choose_ended(backend, call, request.selector(), [&](const core::Task& task) {
    return !backend.store().leaving(task.sequence());
  });
  v1::PruneResponse response;
  if (!request.dry_run() && chosen.size() > prune_max) {
    chosen.resize(prune_max);
    response.set_more(true);
  }
  response.set_count(static_cast<std::uint32_t>(chosen.size()));
  if (!request.dry_run())
    for (const core::Sequence number : chosen) backend.prune(number);
  backend.after_commit([call, response] { call->reply(response); });
}

void prune(Backend& backend, const CallPtr& call, const v1::PruneRequest& request) {
  if (!check_choice(backend, call, request)) return;
  if (request.id().empty()) return prune_selected(backend, call, request);
  const Found found = require_task(backend, call, request.id(), true);
  if (!found.task()) return;
  if (found.live || !is_over(backend, *found.ended))
    return call->fail(Code::failed_precondition, "the task has not ended");
  v1::PruneResponse response;
  const core::Sequence number = found.task()->sequence();
  if (!backend.store().leaving(number)) {
    response.set_count(1);
    if (!request.dry_run()) backend.prune(number);
  }
  backend.after_commit([call, response] { call->reply(response); });
}

std::string in_words(const core::Reason& reason, const v1::ExplainResponse::Reason& message) {
  using Kind = core::Reason::Kind;
  // Nobody reads nanoseconds; the field has them.
  const std::int64_t until_ms = TimeUtil::TimestampToMilliseconds(message.until());
  const std::string until = TimeUtil::ToString(TimeUtil::MillisecondsToTimestamp(until_ms));
  const std::string limit = "limit '" + reason.limit + "'";
  switch (reason.kind) {
    case Kind::held:
      return "it is held until it is released";
    case Kind::not_due:
      return "it is not due before " + until;
    case Kind::parent:
      return "task " + message.task_id() + " has not ended";
    case Kind::limit:
      return limit + " has " + std::to_string(reason.used) + " of " + std::to_string(reason.size) +
             " tokens in use; it wants " + std::to_string(reason.wanted);
    case Kind::limit_rate:
      return limit + " lets no other task start before " + until;
    case Kind::pool_paused:
      return "its pool is paused by uid " + std::to_string(reason.uid);
    case Kind::pool_throttled:
      return "its pool cannot start workers and tries again at " + until;
    case Kind::pool_rate:
      return "its pool lets no other task start before " + until;
    case Kind::no_workers:
      return "its pool has no worker that is ready";
    case Kind::workers_busy:
      return "all workers of its pool are busy";
    case Kind::behind_others:
      return "at most " + std::to_string(reason.ahead) +
             (reason.ahead == 1 ? " other task starts first" : " other tasks start first");
    case Kind::group:
      return std::to_string(reason.ahead) + " tasks of group '" + reason.group + "' have not ended";
  }
  return {};
}

void explain_task(Backend& backend, const CallPtr& call, const v1::ExplainRequest& request) {
  const Found found = require_task(backend, call, request.id(), false);
  if (!found.task()) return;
  v1::ExplainResponse response;
  response.set_state(state_of(found.task()->state));
  if (found.live) {
    for (const core::Reason& reason : core::explain(backend.state(), *found.live, backend.now())) {
      static_assert(static_cast<int>(core::Reason::Kind::group) + 1 == v1::ExplainResponse::Reason::GROUP);
      auto& message = *response.add_reasons();
      message.set_kind(static_cast<v1::ExplainResponse::Reason::Kind>(static_cast<int>(reason.kind) + 1));
      if (reason.until)
        *message.mutable_until() = TimeUtil::NanosecondsToTimestamp(backend.unix_ns(*reason.until));
      if (const core::Task* parent = backend.state().tasks.find(reason.parent))
        message.set_task_id(to_string(parent->id));
      message.set_limit(reason.limit);
      message.set_group(reason.group);
      message.set_wanted(reason.wanted);
      message.set_size(reason.size);
      message.set_used(reason.used);
      message.set_ahead(reason.ahead);
      message.set_uid(reason.uid);
      message.set_text(in_words(reason, message));
    }
  }
  call->reply(response);
}

}  // namespace

void add_hold_methods(Router& router) {
  Backend& backend = router.backend();
  router.method<v1::HoldRequest>("Tasks/Hold",
                                 [&backend](auto& call, auto& request) { hold(backend, call, request); });
  router.method<v1::ReleaseRequest>(
      "Tasks/Release", [&backend](auto& call, auto& request) { release(backend, call, request); });
  router.method<v1::RetryRequest>("Tasks/Retry",
                                  [&backend](auto& call, auto& request) { retry(backend, call, request); });
  router.method<v1::PruneRequest>("Tasks/Prune",
                                  [&backend](auto& call, auto& request) { prune(backend, call, request); });
  router.method<v1::ExplainRequest>(
      "Tasks/Explain", [&backend](auto& call, auto& request) { explain_task(backend, call, request); });
}

}  // namespace poold::engine
