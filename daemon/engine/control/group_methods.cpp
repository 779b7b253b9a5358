// Groups: Tasks/ListGroups, and Tasks/Wait for a group. (Wait for ids is in wait_method.cpp.)
#include "daemon/engine/control/group_methods.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "daemon/engine/control/end_waiter.hpp"
#include "daemon/engine/control/router.hpp"
#include "daemon/engine/control/task_message.hpp"

namespace poold::engine {
namespace {

using CallPtr = std::shared_ptr<Call>;
constexpr std::uint32_t page_default = 100, page_max = 1000;
constexpr std::size_t failures_shown_max = 100;

void fill_group(const core::Group& group, v1::Group& message) {
  using core::TaskState;
  message.set_uid(group.key.first);
  message.set_name(group.key.second);
  message.set_waiting(group.count(TaskState::waiting));
  message.set_queued(group.count(TaskState::queued));
  message.set_running(group.count(TaskState::running));
  message.set_succeeded(group.count(TaskState::succeeded));
  message.set_failed(group.count(TaskState::failed));
  message.set_cancelled(group.count(TaskState::cancelled));
  message.set_closed(group.closed());
}

// Waits for the tasks that were unfinished when it began; whoever joins later is not waited for.
class WaitForGroup : public EndWaiter {
 public:
  WaitForGroup(Backend& backend, CallPtr call, core::GroupKey key, bool any)
      : EndWaiter(backend, std::move(call), any), key_(std::move(key)) {}

  void start(std::optional<std::int64_t> timeout_ns) {
    std::vector<core::Sequence> unfinished;
    bool one_ended = false;
    backend().state().tasks.each([&](const core::Task& task) {
      if (is_member(task)) unfinished.push_back(task.sequence());
      return true;
    });
    backend().store().each([&](const Record& record) {
      if (!is_member(record.task)) return;
      // One whose end is not on the disk yet has not ended.
      record.task.unsaved ? unfinished.push_back(record.task.sequence()) : void(one_ended = true);
    });
    begin(unfinished, one_ended, timeout_ns);
  }

 private:
  bool is_member(const core::Task& task) const {
    return task.options && task.uid == key_.first && task.options->group == key_.second;
  }

  void reply(Call& call) override {
    v1::WaitResponse response;
    response.mutable_group()->set_uid(key_.first);
    response.mutable_group()->set_name(key_.second);
    // It may have been forgotten since.
    if (const auto group = backend().state().groups.find(key_); group != backend().state().groups.end())
      fill_group(*group->second, *response.mutable_group());
    std::vector<const Record*> failures;
    backend().store().each([&](const Record& record) {
      const bool badly = record.task.state != core::TaskState::succeeded && !record.task.unsaved;
      if (badly && is_member(record.task)) failures.push_back(&record);
    });
    std::ranges::sort(failures, {}, [](const Record* record) { return record->task.sequence(); });
    if (failures.size() > failures_shown_max) failures.resize(failures_shown_max);
    for (const Record* record : failures) fill_task(backend(), Found{nullptr, record}, *response.add_tasks());
    call.reply(response);
  }

  core::GroupKey key_;
};

// "1000/name": where the next page begins.
std::optional<core::GroupKey> parse_token(const std::string& token) {
  const std::size_t slash = token.find('/');
  if (slash == token.npos || slash == 0 || slash > 10) return std::nullopt;
  std::uint64_t uid = 0;
  for (const char c : token.substr(0, slash)) {
    if (c < '0' || c > '9') return std::nullopt;
    uid = uid * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (uid > ~std::uint32_t{0}) return std::nullopt;
  return core::GroupKey{static_cast<std::uint32_t>(uid), token.substr(slash + 1)};
}

void list_groups(Backend& backend, const CallPtr& call, const v1::ListGroupsRequest& request) {
  if (request.page_size() > page_max) return call->fail(Code::invalid_argument, "pageSize: more than 1000");
  const std::uint32_t size = request.page_size() ? request.page_size() : page_default;
  const core::Groups& groups = backend.state().groups;
  const Rights& rights = call->rights();
  // Whoever sees only his own begins and ends there.
  auto at = rights.sees_everything() ? groups.begin() : groups.lower_bound({rights.uid(), {}});
  if (!request.page_token().empty()) {
    const auto from = parse_token(request.page_token());
    if (!from || (!rights.sees_everything() && from->first != rights.uid()))
      return call->fail(Code::invalid_argument, "pageToken: not from an earlier answer");
    at = groups.lower_bound(*from);
  }
  v1::ListGroupsResponse response;
  for (; at != groups.end(); ++at) {
    const auto& [uid, name] = at->first;
    if (!rights.sees_everything() && uid != rights.uid()) break;
    const auto& names = request.names();
    if (!names.empty() && std::ranges::find(names, name) == names.end()) continue;
    if (static_cast<std::uint32_t>(response.groups_size()) == size) {
      response.set_next_page_token(std::to_string(uid) + '/' + name);
      break;
    }
    fill_group(*at->second, *response.add_groups());
  }
  // What is told to have ended has ended for good.
  backend.after_commit([call, response] { call->reply(response); });
}

}  // namespace

void wait_for_group(Backend& backend, const CallPtr& call, const v1::WaitRequest& request,
                    std::optional<std::int64_t> timeout_ns) {
  if (request.ids_size() > 0) return call->fail(Code::invalid_argument, "group: either ids or group");
  core::GroupKey key{call->rights().uid(), request.group()};
  if (!backend.state().groups.contains(key))
    return call->fail(Code::not_found, "group: you have no group " + quoted(request.group()));
  const auto waiting = std::make_shared<WaitForGroup>(backend, call, std::move(key), request.any());
  call->hold(waiting);
  waiting->start(timeout_ns);
}

void add_group_methods(Router& router) {
  Backend& backend = router.backend();
  router.method<v1::ListGroupsRequest>(
      "Tasks/ListGroups", [&backend](auto& call, auto& request) { list_groups(backend, call, request); });
}

}  // namespace poold::engine
