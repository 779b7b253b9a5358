#include "daemon/worker/command_runner.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace poold::worker {
namespace {

// What is read from a command's pipe at once: as much as a pipe holds.
constexpr std::size_t piece_size = 64 * 1024;

Clock::duration to_duration(const google::protobuf::Duration& duration) {
  return std::chrono::seconds(duration.seconds()) + std::chrono::nanoseconds(duration.nanos());
}

}  // namespace

CommandRunner::CommandRunner(std::string pool, FileDescriptor null, Outbox& outbox)
    : outbox_(outbox), line_(std::move(pool)), null_(std::move(null)), buffer_(piece_size) {}

void CommandRunner::configure(const v1::WorkerWelcome& welcome) {
  log_directory_ = welcome.log_directory();
  log_size_ = welcome.log_size();
  line_.allow_only({welcome.allow().begin(), welcome.allow().end()});
  grace_ = to_duration(welcome.grace());
}

bool CommandRunner::running(std::uint64_t task, std::uint32_t attempt) const {
  return running_ && running_->task == task && running_->attempt == attempt;
}

v1::Outcome& CommandRunner::begin_result(std::uint64_t task, std::uint32_t attempt) {
  auto& result = *reply_.mutable_result();
  result.Clear();
  result.set_task(task);
  result.set_attempt(attempt);
  return *result.mutable_outcome();
}

void CommandRunner::refuse(int errno_value, std::string_view what) {
  set_refusal(*reply_.mutable_result()->mutable_outcome(), errno_value, what);
  outbox_.add_result(reply_, reply_.result().task());
}

// False: errno says why.
bool CommandRunner::set_input(const v1::Command& command, FileDescriptor& memory) {
  program_.in = null_.get();
  if (command.stdin().empty()) return true;
  // Never blocks, and never has to be fed.
  memory = make_sealed_memory("stdin", command.stdin());
  if (!memory.valid() || ::lseek(memory.get(), 0, SEEK_SET) < 0) return false;
  program_.in = memory.get();
  return true;
}

// The errno if it cannot be had.
std::optional<int> CommandRunner::set_output(const v1::WorkerTask& task, std::optional<Capture>& capture) {
  program_.out = program_.err = null_.get();
  if (log_directory_.empty() || log_size_ == 0) return std::nullopt;
  auto opened = Capture::open({attempt_log_path(log_directory_, task.id(), task.attempt()), log_size_});
  if (const int* error = std::get_if<int>(&opened)) return *error;
  capture = std::move(std::get<Capture>(opened));
  program_.out = capture->child_end(LogStream::out);
  program_.err = capture->child_end(LogStream::err);
  return std::nullopt;
}

void CommandRunner::start(const v1::WorkerTask& task) {
  v1::Outcome& outcome = begin_result(task.task(), task.attempt());
  if (!task.spec().has_command()) return refuse(EINVAL, "this worker runs commands, not functions");
  const v1::Command& command = task.spec().command();
  if (const auto wrong = line_.prepare(task, program_)) return refuse(EINVAL, *wrong);
  FileDescriptor memory;
  if (!set_input(command, memory)) return refuse(errno, "cannot make room for the input");
  std::optional<Capture> capture;
  if (const auto error = set_output(task, capture))
    return refuse(*error, "cannot make a pipe for the output");
  const auto started_at = Clock::now();
  const auto spawned = spawner_.spawn(program_);
  if (const auto* error = std::get_if<SpawnError>(&spawned)) {
    set_spawn_error(outcome, command, program_, *error);
    outbox_.add_result(reply_, task.task());
    return;
  }
  running_.emplace();
  running_->task = task.task();
  running_->attempt = task.attempt();
  running_->pid = std::get<pid_t>(spawned);
  running_->started_at = started_at;
  running_->capture = std::move(capture);
  if (task.spec().has_timeout()) running_->limit_at = started_at + to_duration(task.spec().timeout());
  if (task.spec().has_grace()) running_->grace = to_duration(task.spec().grace());
  if (!task.want_started()) return;
  auto& started = *reply_.mutable_started();
  started.set_task(task.task());
  started.set_attempt(task.attempt());
  outbox_.add(reply_);
}

void CommandRunner::cancel(Clock::duration grace) {
  if (running_) running_->cancel(Clock::now() + grace);
}

void CommandRunner::signal(int number) {
  if (running_) ::kill(-running_->pid, number);
}

int CommandRunner::output(LogStream stream) const {
  return running_ && running_->capture ? running_->capture->own_end(stream) : -1;
}

void CommandRunner::take_output(LogStream stream) {
  if (running_ && running_->capture && running_->capture->take(stream, buffer_)) log_created();
}

void CommandRunner::log_created() {
  auto& output = *reply_.mutable_output();
  output.set_task(running_->task);
  output.set_attempt(running_->attempt);
  outbox_.add_before_result(reply_, running_->task);
}

void CommandRunner::reap() {
  bool others = false;
  int status;
  rusage used;
  for (pid_t pid; (pid = ::wait4(-1, &status, WNOHANG, &used)) > 0;) {
    if (running_ && pid == running_->pid) {
      command_ended(status, used);
    } else {
      others = true;  // somebody who came to us as the subreaper
    }
  }
  if (others) stragglers_.look_again();
}

void CommandRunner::command_ended(int status, const rusage& used) {
  const auto now = Clock::now();
  if (running_->capture && running_->capture->take_rest(buffer_)) log_created();
  v1::Outcome& outcome = begin_result(running_->task, running_->attempt);
  set_end(outcome, *running_, status, used, now);
  const bool killed = outcome.kind() == v1::Outcome::SIGNALED && outcome.signal() == SIGKILL;
  if (killed && memory_events_.killed()) outcome.set_kind(v1::Outcome::OUT_OF_MEMORY);
  outbox_.add_result(reply_, running_->task);
  stragglers_.look_at(running_->pid, now + grace_);
  if (abandoned_) stragglers_.kill_all();
  running_.reset();
}

void CommandRunner::kill_due(Clock::time_point now) {
  if (running_ && keeps_time_ && running_->limit_at && *running_->limit_at <= now && !running_->cancelled) {
    running_->timed_out = true;
    running_->cancel(now + running_->grace.value_or(grace_));
  }
  if (running_) running_->kill_if_due(now);
  stragglers_.kill_due(now);
}

std::optional<Clock::time_point> CommandRunner::next_kill() const {
  auto next = stragglers_.next_kill();
  const bool limited = running_ && keeps_time_ && running_->limit_at && !running_->cancelled;
  if (limited && (!next || *running_->limit_at < *next)) next = running_->limit_at;
  if (running_ && running_->kill_at && (!next || *running_->kill_at < *next)) next = running_->kill_at;
  return next;
}

void CommandRunner::abandon() {
  abandoned_ = true;
  stragglers_.kill_all();
}

}  // namespace poold::worker
