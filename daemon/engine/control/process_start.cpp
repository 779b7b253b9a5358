// Processes: Start. A pool of one slot and for one task is made beside the pool that was named; the task is
// all that it ever runs.
#include "daemon/engine/control/pool_message.hpp"
#include "daemon/engine/control/process_message.hpp"
#include "daemon/engine/control/router.hpp"
#include "daemon/engine/control/submission.hpp"

namespace poold::engine {
namespace {

using CallPtr = std::shared_ptr<Call>;

// Ends a process when the connection that started it ends.
class BoundProcess : public Belonging {
 public:
  BoundProcess(Backend& backend, core::Sequence task) : backend_(backend), task_(task) {}
  void on_gone(bool) override { backend_.post(core::Cancel{task_}); }

 private:
  Backend& backend_;
  const core::Sequence task_;
};

// Answers when the task runs, or never will. If its connection closes first, the process goes on.
class StartCall : public Client, public Watcher, public std::enable_shared_from_this<StartCall> {
 public:
  StartCall(Backend& backend, CallPtr call) : backend_(backend), call_(std::move(call)) {}
  ~StartCall() override { backend_.remove_client(token_); }

  void start(core::Submit&& submit) {
    token_ = backend_.add_client(weak_from_this());
    submit.client = token_;
    task_ = sequence_of(submit.id);
    backend_.submit(std::move(submit));
    // Before it can start: the worker says so only of tasks that are watched.
    backend_.watch(task_, weak_from_this());
  }

  void on_accepted(const core::Accepted&) override {}
  void on_refused(const core::Refused& refused) override { call_->fail(explain(backend_, refused)); }
  void on_finished(const Record&) override {}
  void on_started(const core::Task&) override { answer(); }
  void on_ended(const Record& record) override {
    if (record.task.attempt > 0) return answer();
    const core::StartFailure& failure = backend_.state().pools[record.task.pool].start_failure;
    call_->fail(Code::failed_precondition,
                "the process could not be started: " +
                    (failure.message.empty() ? "it was cancelled" : failure.message) +
                    (failure.path.empty() ? "" : " (" + failure.path + ")"));
  }

 private:
  void answer() {
    if (std::exchange(answered_, true)) return;
    v1::StartProcessResponse response;
    fill_process(backend_, find_task(backend_, task_), *response.mutable_process());
    call_->reply(response);
  }

  Backend& backend_;
  CallPtr call_;
  core::ClientToken token_ = 0;
  core::Sequence task_ = 0;
  bool answered_ = false;
};

std::optional<std::string> check(const v1::TaskSpec& spec) {
  const bool waits = spec.has_delay() || spec.has_at() || spec.has_ttl() || spec.after_size() > 0 ||
                     spec.after_any_size() > 0 || spec.hold() || spec.limits_size() > 0;
  if (waits)
    return "task: a process starts now: delay, at, ttl, after, afterAny, hold and limits are not for it";
  if (spec.attempts() > 1 || spec.crash_attempts() > 1)
    return "task: a process runs once: attempts and crashAttempts are not for it";
  if (!spec.key().empty()) return "task.key: not for a process";
  return std::nullopt;
}

// A name beside the pool that is not in use; nothing if there are as many as may be.
std::optional<std::string> free_name(const Backend& backend, core::PoolIndex pool) {
  const std::string stem = backend.state().pools[pool].settings.name + process_mark;
  for (std::uint32_t number = 1; number <= backend.processes_max(pool); ++number) {
    std::string name = stem + std::to_string(number);
    const auto known = backend.state().pool_names.find(name);
    if (known == backend.state().pool_names.end() || gone(backend.state().pools[known->second])) return name;
  }
  return std::nullopt;
}

}  // namespace

void start_process(Backend& backend, const CallPtr& call, const v1::StartProcessRequest& request) {
  if (auto complaint = check(request.task())) return call->fail(Code::invalid_argument, *complaint);
  auto made = make_submission(backend, request.task(), call->peer().uid, call->rights());
  if (const auto* error = std::get_if<ConnectError>(&made)) return call->fail(*error);
  auto& submit = std::get<core::Submit>(made);
  const core::Pool& pool = backend.state().pools[submit.pool];
  const std::string where = "pool '" + pool.settings.name + "'";
  if (backend.state().stopping) return call->fail(Code::unavailable, "the daemon is stopping");
  if (pool.removed || pool.draining)
    return call->fail(Code::failed_precondition, "task.pool: " + where + " is draining");
  const auto name = free_name(backend, submit.pool);
  if (!name)
    return call->fail(Code::resource_exhausted, "task.pool: " + where + " has as many processes as it may (" +
                                                    std::to_string(backend.processes_max(submit.pool)) + ")");
  MadePool process;
  process.name = *name;
  process.base = pool.settings.name;
  if (const MadePool* base = backend.made_pool(submit.pool)) {
    process.base = base->base;
    process.of_template = base->of_template;
  }
  process.process = true;
  process.uid = call->peer().uid;
  process.temporary = request.daemon();
  submit.pool = backend.make_pool(process);
  const core::Sequence task = sequence_of(submit.id);
  if (request.daemon()) call->keep(std::make_shared<BoundProcess>(backend, task));
  const auto starting = std::make_shared<StartCall>(backend, call);
  call->hold(starting);
  starting->start(std::move(submit));
}

}  // namespace poold::engine
