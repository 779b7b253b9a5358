// Tasks: Submit, SubmitBatch, Get, List, Cancel, Signal, Logs. (Wait is in wait_method.cpp.)
#include <fcntl.h>
#include <algorithm>
#include <charconv>
#include <deque>

#include "common/attempt_log.hpp"
#include "daemon/engine/control/batch_check.hpp"
#include "daemon/engine/control/router.hpp"
#include "daemon/engine/control/submission.hpp"
#include "daemon/engine/control/task_listing.hpp"
#include "daemon/engine/control/task_message.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::engine {
namespace {

using CallPtr = std::shared_ptr<Call>;
constexpr int batch_max = 10'000;
constexpr std::size_t cancel_max = 10'000;

// The submissions of one call: answers when each was accepted or refused. Those that wait for room hold up
// those behind them.
class Submissions : public Client, public RoomWaiter, public std::enable_shared_from_this<Submissions> {
 public:
  Submissions(Backend& backend, CallPtr call, bool single)
      : backend_(backend), call_(std::move(call)), single_(single) {}
  ~Submissions() override { backend_.remove_client(token_); }

  // All of them can be accepted.
  void submit_all(std::vector<core::Submit> all) {
    token_ = backend_.add_client(weak_from_this());
    open_ = static_cast<int>(all.size()) + 1;
    for (std::size_t i = 0; i < all.size(); ++i) response_.add_tasks();
    for (std::size_t i = 0; i < all.size(); ++i) submit_one(std::move(all[i]), i);
    settle();
  }

  void submit(const google::protobuf::RepeatedPtrField<v1::TaskSpec>& specs) {
    token_ = backend_.add_client(weak_from_this());
    open_ = specs.size() + 1;  // one for this function, so that nothing is answered before all was looked at
    for (int i = 0; i < specs.size(); ++i) response_.add_tasks();
    for (int i = 0; i < specs.size(); ++i) {
      auto made = make_submission(backend_, specs[i], call_->peer().uid, call_->rights());
      if (auto* error = std::get_if<ConnectError>(&made)) {
        refuse(i, *error);
        continue;
      }
      auto& submission = std::get<core::Submit>(made);
      submission.tag = static_cast<std::uint64_t>(i);
      if (!waiting_.empty() || has_to_wait(backend_, specs[i], submission))
        waiting_.push_back({std::move(submission), specs[i].when_full() == v1::TaskSpec::WAIT});
      else
        submit_one(std::move(submission), static_cast<std::size_t>(i));
    }
    if (!waiting_.empty()) ask_for_room();
    settle();
  }

  void on_room() override {
    while (!waiting_.empty()) {
      auto& [submission, waits] = waiting_.front();
      if (waits && core::is_full(backend_.state(), backend_.state().pools[submission.pool], submission.uid))
        return ask_for_room();
      const std::size_t index = submission.tag;
      submit_one(std::move(submission), index);
      waiting_.pop_front();
    }
  }

  void on_accepted(const core::Accepted& accepted) override {
    auto& entry = *response_.mutable_tasks(static_cast<int>(accepted.tag));
    entry.set_id(to_string(accepted.id));
    entry.set_duplicate(accepted.duplicate);
    settle();
  }
  void on_refused(const core::Refused& refused) override {
    refuse(static_cast<int>(refused.tag), explain(backend_, refused));
  }
  void on_finished(const Record&) override {}

 private:
  void ask_for_room() {
    const core::Submit& first = waiting_.front().submission;
    backend_.wait_for_room(first.pool, first.uid, weak_from_this());
  }
  void submit_one(core::Submit&& submit, std::size_t index) {
    submit.client = token_;
    submit.tag = index;
    backend_.submit(std::move(submit));
  }
  void refuse(int index, const ConnectError& error) {
    if (single_) last_error_ = error;
    auto& entry = *response_.mutable_tasks(index);
    entry.set_code(std::string(name(error.code)));
    entry.set_message(error.message);
    settle();
  }
  void settle() {
    if (--open_ > 0) return;
    if (!single_) return call_->reply(response_);
    if (last_error_) return call_->fail(*last_error_);
    v1::SubmitResponse response;
    response.set_id(response_.tasks(0).id());
    response.set_duplicate(response_.tasks(0).duplicate());
    call_->reply(response);
  }

  Backend& backend_;
  CallPtr call_;
  const bool single_;
  core::ClientToken token_ = 0;
  int open_ = 0;
  struct Waiting {
    core::Submit submission;
    bool waits = false;  // or is only behind one that does
  };
  std::deque<Waiting> waiting_;
  v1::SubmitBatchResponse response_;
  std::optional<ConnectError> last_error_;
};

void submit(Backend& backend, const CallPtr& call, const v1::TaskSpec& spec) {
  v1::SubmitBatchRequest request;
  *request.add_tasks() = spec;
  const auto submissions = std::make_shared<Submissions>(backend, call, true);
  call->hold(submissions);
  submissions->submit(request.tasks());
}

void submit_batch(Backend& backend, const CallPtr& call, const v1::SubmitBatchRequest& request) {
  if (request.tasks_size() > batch_max) return call->fail(Code::invalid_argument, "tasks: more than 10000");
  std::vector<core::Submit> all;
  if (request.all_or_none()) {
    auto made = make_batch(backend, request.tasks(), call->peer().uid, call->rights());
    if (const auto* error = std::get_if<ConnectError>(&made)) return call->fail(*error);
    all = std::get<std::vector<core::Submit>>(std::move(made));
  }
  const auto submissions = std::make_shared<Submissions>(backend, call, false);
  call->hold(submissions);
  if (request.all_or_none()) return submissions->submit_all(std::move(all));
  submissions->submit(request.tasks());
}

// Finds the task or answers not_found. Whoever may not see a task is told the same.
Found require_task(Backend& backend, const CallPtr& call, const std::string& text) {
  const auto id = parse_task_id(text);
  const Found found = id ? find_task(backend, *id) : Found{};
  if (found.task() && call->rights().may_see(*found.task())) return found;
  call->fail(Code::not_found, "id: there is no task " + quoted(text));
  return {};
}

// The same for a task that the caller wants to change.
Found require_own_task(Backend& backend, const CallPtr& call, const std::string& text) {
  const Found found = require_task(backend, call, text);
  if (!found.task() || call->rights().may_change(*found.task())) return found;
  call->fail(Code::permission_denied, "id: the task is another user's; to change it takes role operate");
  return {};
}

void get(Backend& backend, const CallPtr& call, const std::string& id, bool with_options) {
  const Found found = require_task(backend, call, id);
  if (!found.task()) return;
  v1::GetTaskResponse response;
  fill_task(backend, found, *response.mutable_task(), true);
  if (with_options) fill_options(*found.task(), *response.mutable_task()->mutable_options());
  call->reply(response);
}

void list(Backend& backend, const CallPtr& call, const v1::ListTasksRequest& request) {
  auto listed = list_tasks(backend, call->rights(), request);
  if (const auto* error = std::get_if<ConnectError>(&listed)) return call->fail(*error);
  call->reply(std::get<v1::ListTasksResponse>(listed));
}

bool empty(const v1::Selector& selector) { return selector.ByteSizeLong() == 0; }

void cancel(Backend& backend, const CallPtr& call, const v1::CancelRequest& request) {
  if (!request.id().empty() && request.has_selector())
    return call->fail(Code::invalid_argument, "selector: either id or selector");
  v1::CancelResponse response;
  if (!request.id().empty()) {
    const Found found = require_own_task(backend, call, request.id());
    if (!found.task()) return;
    if (found.live) {
      response.add_ids(request.id());
      backend.post(core::Cancel{found.live->sequence()});
    }
    return backend.after_commit([call, response] { call->reply(response); });
  }
  if (!request.has_selector() || empty(request.selector()))
    return call->fail(Code::invalid_argument, "selector: at least one condition, or an id");
  if (auto error = complaint_about(backend, request.selector())) return call->fail(std::move(*error));
  TaskFilter filter(backend, request.selector());
  if (!call->rights().changes_everything()) filter.only_of(call->rights().uid());
  std::vector<core::Sequence> chosen;
  backend.state().tasks.each([&](const core::Task& task) {
    if (task.cancelling || !filter.matches(task)) return true;
    if (chosen.size() == cancel_max) {
      response.set_more(true);
      return false;
    }
    chosen.push_back(task.sequence());
    response.add_ids(to_string(task.id));
    return true;
  });
  for (const core::Sequence task : chosen) backend.post(core::Cancel{task});
  backend.after_commit([call, response] { call->reply(response); });
}

void signal(Backend& backend, const CallPtr& call, const v1::SignalRequest& request) {
  if (request.signal() < 1 || request.signal() > 64)
    return call->fail(Code::invalid_argument, "signal: 1 to 64");
  const Found found = require_own_task(backend, call, request.id());
  if (!found.task()) return;
  if (!found.live || found.live->state != core::TaskState::running)
    return call->fail(Code::failed_precondition, "the task is not running");
  if (!backend.runs_commands(found.live->pool))
    return call->fail(Code::failed_precondition, "only commands take signals; this is a function");
  backend.post(core::SignalTask{found.live->sequence(), static_cast<int>(request.signal())});
  call->reply(v1::SignalResponse());
}

void logs(Backend& backend, const CallPtr& call, const v1::LogsRequest& request) {
  constexpr std::uint32_t limit_default = 256 * 1024, limit_max = 1024 * 1024;
  if (request.limit() > limit_max) return call->fail(Code::invalid_argument, "limit: more than 1048576");
  const Found found = require_task(backend, call, request.id());
  if (!found.task()) return;
  const core::Task& task = *found.task();
  const std::uint32_t attempt = request.attempt() ? request.attempt() : task.attempt;
  if (attempt > task.attempt) return call->fail(Code::not_found, "attempt: has not started");
  v1::LogsResponse response;
  response.set_attempt(attempt);
  response.set_next_offset(request.offset());
  const bool over = found.ended || attempt < task.attempt || task.state != core::TaskState::running;
  bool nothing_left = true;
  if (attempt > 0) {
    FileDescriptor file(
        ::open(backend.log_path(task.pool, task.id, attempt).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (file.valid()) {
      const auto read = AttemptLogReader(std::move(file))
                            .read(request.offset(), request.limit() ? request.limit() : limit_default);
      for (const auto& piece : read.pieces) fill_chunk(piece, *response.add_chunks());
      response.set_next_offset(read.next_offset);
      nothing_left = read.pieces.empty();
    }
  }
  response.set_complete(over && nothing_left);
  call->reply(response);
}

// /v1/tasks?pool=…&state=…&name=…&page_size=…&page_token=…
void list_alias(Backend& backend, const CallPtr& call) {
  const std::string& query = call->request().query;
  v1::ListTasksRequest request;
  if (const std::string pool = query_value(query, "pool"); !pool.empty())
    request.mutable_selector()->add_pools(pool);
  if (const std::string name = query_value(query, "name"); !name.empty())
    request.mutable_selector()->add_names(name);
  if (std::string state = query_value(query, "state"); !state.empty()) {
    std::ranges::transform(state, state.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    v1::Task::State value;
    if (!v1::Task::State_Parse(state, &value))
      return call->fail(Code::invalid_argument, "state: there is no state " + quoted(state));
    request.mutable_selector()->add_states(value);
  }
  if (const std::string size = query_value(query, "page_size"); !size.empty()) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), value);
    if (error != std::errc() || end != size.data() + size.size())
      return call->fail(Code::invalid_argument, "page_size: not a number");
    request.set_page_size(value);
  }
  request.set_page_token(query_value(query, "page_token"));
  list(backend, call, request);
}

}  // namespace

void fill_chunk(const AttemptLogReader::Piece& piece, v1::LogChunk& chunk) {
  if (piece.skipped > 0) {
    chunk.set_skipped(piece.skipped);
    return;
  }
  chunk.set_stream(piece.stream == LogStream::out ? v1::LogChunk::STDOUT : v1::LogChunk::STDERR);
  chunk.set_data(piece.data);
}

void add_task_methods(Router& router) {
  Backend& backend = router.backend();
  router.method<v1::TaskSpec>("Tasks/Submit",
                              [&backend](auto& call, auto& spec) { submit(backend, call, spec); });
  router.method<v1::SubmitBatchRequest>(
      "Tasks/SubmitBatch", [&backend](auto& call, auto& request) { submit_batch(backend, call, request); });
  router.method<v1::GetTaskRequest>("Tasks/Get", [&backend](auto& call, auto& request) {
    get(backend, call, request.id(), request.with_options());
  });
  router.method<v1::ListTasksRequest>(
      "Tasks/List", [&backend](auto& call, auto& request) { list(backend, call, request); });
  router.method<v1::CancelRequest>("Tasks/Cancel",
                                   [&backend](auto& call, auto& request) { cancel(backend, call, request); });
  router.method<v1::SignalRequest>("Tasks/Signal",
                                   [&backend](auto& call, auto& request) { signal(backend, call, request); });
  router.method<v1::LogsRequest>("Tasks/Logs",
                                 [&backend](auto& call, auto& request) { logs(backend, call, request); });
  router.alias("/v1/tasks", [&backend](const CallPtr& call) { list_alias(backend, call); });
  router.alias("/v1/tasks/", [&backend](const CallPtr& call) {
    std::string id = call->request().path.substr(std::string_view("/v1/tasks/").size());
    if (const std::size_t slash = id.find('/'); slash != std::string::npos) {
      if (id.substr(slash) != "/logs")
        return call->fail(Code::not_found, "there is nothing at " + quoted(call->request().path));
      return stream_logs(backend, call, id.substr(0, slash));
    }
    get(backend, call, id, false);
  });
}

}  // namespace poold::engine
