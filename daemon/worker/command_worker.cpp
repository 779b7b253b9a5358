#include "daemon/worker/command_worker.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <deque>
#include <unordered_set>

#include "client/cpp/src/session.hpp"
#include "client/cpp/src/worker_channel.hpp"
#include "common/frame_message.hpp"
#include "daemon/worker/command_line.hpp"
#include "daemon/worker/memory_events.hpp"
#include "daemon/worker/running_command.hpp"

namespace poold::worker {
namespace {

// What is read from a command's pipe at once: as much as a pipe holds.
constexpr std::size_t piece_size = 64 * 1024;
// An engine that does not read its results gets no new ones beyond this.
constexpr std::size_t outbox_size_max = 1024 * 1024;
// The engine sends one or two commands ahead; this is for one that does not keep to that.
constexpr std::size_t waiting_max = 100'000;

class CommandWorker {
 public:
  CommandWorker(Identity identity, FileDescriptor signals, FileDescriptor null)
      : line_(identity.pool), signals_(std::move(signals)), null_(std::move(null)), generation_(identity.generation) {}

  int run(const std::string& agent);

 private:
  enum class Mode {
    working,
    stopping,    // no new tasks; those that are here are run
    ending,      // none of the waiting tasks either: SIGTERM
    abandoned,  // the engine is gone: what runs ends, and nobody will hear of it
  };

  void say_hello(const std::string& agent);
  bool finished() const;
  void wait(std::array<pollfd, 6>& fds) const;
  void take_output(const std::array<pollfd, 6>& fds);
  int time_left() const;

  bool read_frames();
  bool act();
  bool welcome(const v1::WorkerWelcome& welcome);
  void cancel(const v1::WorkerCancel& request);
  void give_back(const v1::WorkerReturn& request);
  void engine_is_gone();
  void take_signals();

  void start_waiting();
  void start(const v1::WorkerTask& task);
  bool set_input(const v1::Command& command, FileDescriptor& memory);
  void reap();
  void command_ended(int status, const rusage& used);
  void log_created();
  v1::Outcome& begin_result(std::uint64_t task, std::uint32_t attempt);

  Mode mode_ = Mode::working;
  bool welcomed_ = false;
  FrameReader reader_;
  Outbox outbox_;
  v1::ToWorker incoming_;
  v1::FromWorker reply_;
  std::deque<v1::WorkerTask> waiting_;
  std::optional<RunningCommand> running_;
  Stragglers stragglers_;
  CommandLine line_;
  Spawner spawner_;
  Program program_;
  MemoryEvents memory_events_;
  FileDescriptor signals_;
  FileDescriptor null_;
  std::vector<char> buffer_ = std::vector<char>(piece_size);
  std::uint32_t generation_;
  // From the welcome.
  std::string log_directory_;
  std::uint64_t log_size_ = 0;
  Clock::duration grace_{};
};

void CommandWorker::say_hello(const std::string& agent) {
  auto& hello = *reply_.mutable_hello();
  hello.add_versions(protocol_version);
  hello.set_generation(generation_);
  hello.set_agent(agent);
  hello.set_want_ids(true);
  outbox_.add(reply_);
}

int CommandWorker::run(const std::string& agent) {
  say_hello(agent);
  for (;;) {
    start_waiting();
    if (outbox_.flush() == Outbox::Flush::closed) engine_is_gone();
    if (finished()) return 0;
    std::array<pollfd, 6> fds;
    wait(fds);
    if (fds[0].revents != 0) {
      Datagram datagram;
      const Transfer transfer = receive_datagram(lifeline, datagram);
      if (transfer == Transfer::closed || transfer == Transfer::failed) end_with_session(0);
    }
    take_output(fds);
    if (fds[1].revents != 0) take_signals();
    if (fds[2].revents != 0 && !read_frames()) return 1;
    const auto now = Clock::now();
    if (running_) running_->kill_if_due(now);
    stragglers_.kill_due(now);
  }
}

bool CommandWorker::finished() const {
  switch (mode_) {
    case Mode::working: return false;
    case Mode::stopping:
    case Mode::ending: return waiting_.empty() && !running_ && stragglers_.empty() && outbox_.empty();
    case Mode::abandoned: return !running_;
  }
  return false;
}

void CommandWorker::wait(std::array<pollfd, 6>& fds) const {
  const bool reads = mode_ != Mode::abandoned && waiting_.size() < waiting_max;
  const bool captures = running_ && running_->capture;
  fds = {{{lifeline, POLLIN, 0},
          {signals_.get(), POLLIN, 0},
          {reads ? task_pipe : -1, POLLIN, 0},
          {captures ? running_->capture->own_end(LogStream::out) : -1, POLLIN, 0},
          {captures ? running_->capture->own_end(LogStream::err) : -1, POLLIN, 0},
          {outbox_.empty() ? -1 : result_pipe, POLLOUT, 0}}};
  if (::poll(fds.data(), fds.size(), time_left()) <= 0)
    for (pollfd& fd : fds) fd.revents = 0;
}

// Milliseconds until somebody's time is up, rounded up; -1: nobody's.
int CommandWorker::time_left() const {
  auto next = stragglers_.next_kill();
  if (running_ && running_->kill_at && (!next || *running_->kill_at < *next)) next = running_->kill_at;
  if (!next) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000'000));
}

void CommandWorker::take_output(const std::array<pollfd, 6>& fds) {
  if (!running_ || !running_->capture) return;
  if (fds[3].revents != 0 && running_->capture->take(LogStream::out, buffer_)) log_created();
  if (fds[4].revents != 0 && running_->capture->take(LogStream::err, buffer_)) log_created();
}

void CommandWorker::log_created() {
  auto& output = *reply_.mutable_output();
  output.set_task(running_->task);
  output.set_attempt(running_->attempt);
  outbox_.add(reply_);
}

// False: what came in is no protocol.
bool CommandWorker::read_frames() {
  const auto space = reader_.prepare();
  const ssize_t got = ::read(task_pipe, space.data(), space.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (got < 0) {
    std::perror("worker: task pipe");
    return false;
  }
  if (got == 0) {
    engine_is_gone();
    return true;
  }
  reader_.commit(static_cast<std::size_t>(got));
  for (;;) {
    const FrameResult result = reader_.next();
    const auto* frame = std::get_if<Frame>(&result);
    if (std::holds_alternative<FrameIncomplete>(result)) return true;
    if (frame && parse_message(incoming_, frame->payload) && act()) continue;
    std::fprintf(stderr, "worker: the engine sent what is no protocol\n");
    return false;
  }
}

bool CommandWorker::act() {
  switch (incoming_.frame_case()) {
    case v1::ToWorker::kWelcome: return welcome(incoming_.welcome());
    case v1::ToWorker::kTask:
      if (!welcomed_) return false;
      if (mode_ == Mode::working) waiting_.push_back(std::move(*incoming_.mutable_task()));
      return true;
    case v1::ToWorker::kCancel: cancel(incoming_.cancel()); return true;
    case v1::ToWorker::kSignal: {
      const auto& request = incoming_.signal();
      if (running_ && running_->is(request.task(), request.attempt()))
        ::kill(-running_->pid, static_cast<int>(request.signal()));
      return true;
    }
    case v1::ToWorker::kReturn: give_back(incoming_.return_()); return true;
    case v1::ToWorker::kStop:
      if (mode_ == Mode::working) mode_ = Mode::stopping;
      return true;
    case v1::ToWorker::kAck:            // results are not kept
    case v1::ToWorker::FRAME_NOT_SET:  // of a later version
      return true;
  }
  return true;
}

bool CommandWorker::welcome(const v1::WorkerWelcome& welcome) {
  const auto& versions = welcome.versions();
  if (std::find(versions.begin(), versions.end(), protocol_version) == versions.end()) return false;
  welcomed_ = true;
  log_directory_ = welcome.log_directory();
  log_size_ = welcome.log_size();
  grace_ = std::chrono::seconds(welcome.grace().seconds()) + std::chrono::nanoseconds(welcome.grace().nanos());
  return true;
}

void CommandWorker::cancel(const v1::WorkerCancel& request) {
  if (running_ && running_->is(request.task(), request.attempt())) return running_->cancel(Clock::now() + grace_);
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const v1::WorkerTask& task) {
    return task.task() == request.task() && task.attempt() == request.attempt();
  });
  if (found == waiting_.end()) return;
  waiting_.erase(found);
  begin_result(request.task(), request.attempt()).set_kind(v1::Outcome::CANCELLED);
  outbox_.add(reply_);
}

void CommandWorker::give_back(const v1::WorkerReturn& request) {
  const std::unordered_set<std::uint64_t> asked(request.tasks().begin(), request.tasks().end());
  auto& returned = *reply_.mutable_returned();
  returned.clear_tasks();
  std::erase_if(waiting_, [&](const v1::WorkerTask& task) {
    if (!asked.contains(task.task())) return false;
    returned.add_tasks(task.task());
    return true;
  });
  outbox_.add(reply_);
}

void CommandWorker::engine_is_gone() {
  mode_ = Mode::abandoned;
  waiting_.clear();
  stragglers_.kill_all();
}

void CommandWorker::take_signals() {
  std::array<signalfd_siginfo, 8> infos;
  const ssize_t got = ::read(signals_.get(), infos.data(), sizeof infos);
  for (std::size_t i = 0; got > 0 && i < static_cast<std::size_t>(got) / sizeof infos[0]; ++i) {
    if (infos[i].ssi_signo != SIGTERM) continue;
    if (mode_ != Mode::abandoned) mode_ = Mode::ending;
    waiting_.clear();
    if (running_) running_->cancel(Clock::now() + grace_);
  }
  reap();
}

v1::Outcome& CommandWorker::begin_result(std::uint64_t task, std::uint32_t attempt) {
  auto& result = *reply_.mutable_result();
  result.Clear();
  result.set_task(task);
  result.set_attempt(attempt);
  return *result.mutable_outcome();
}

void CommandWorker::start_waiting() {
  while (!running_ && !waiting_.empty() && outbox_.size() < outbox_size_max) {
    const v1::WorkerTask task = std::move(waiting_.front());
    waiting_.pop_front();
    start(task);
  }
}

// False: the reply has the reason.
bool CommandWorker::set_input(const v1::Command& command, FileDescriptor& memory) {
  program_.in = null_.get();
  if (command.stdin().empty()) return true;
  memory = make_sealed_memory("stdin", command.stdin());
  if (!memory.valid() || ::lseek(memory.get(), 0, SEEK_SET) < 0) return false;
  program_.in = memory.get();
  return true;
}

void CommandWorker::start(const v1::WorkerTask& task) {
  v1::Outcome& outcome = begin_result(task.task(), task.attempt());
  const auto refuse = [&](int errno_value, std::string_view what) {
    set_refusal(outcome, errno_value, what);
    outbox_.add(reply_);
  };
  if (!task.spec().has_command()) return refuse(EINVAL, "this worker runs commands, not functions");
  const v1::Command& command = task.spec().command();
  if (const auto wrong = line_.prepare(task, program_)) return refuse(EINVAL, *wrong);
  FileDescriptor memory;
  if (!set_input(command, memory)) return refuse(errno, "cannot make room for the input");
  program_.out = program_.err = null_.get();
  std::optional<Capture> capture;
  if (!log_directory_.empty() && log_size_ > 0) {
    auto opened = Capture::open({attempt_log_path(log_directory_, task.id(), task.attempt()), log_size_});
    if (const int* error = std::get_if<int>(&opened)) return refuse(*error, "cannot make a pipe for the output");
    capture = std::move(std::get<Capture>(opened));
    program_.out = capture->child_end(LogStream::out);
    program_.err = capture->child_end(LogStream::err);
  }
  const auto started_at = Clock::now();
  const auto spawned = spawner_.spawn(program_);
  if (const auto* error = std::get_if<SpawnError>(&spawned)) {
    set_spawn_error(outcome, command, program_, *error);
    outbox_.add(reply_);
    return;
  }
  running_.emplace();
  running_->task = task.task();
  running_->attempt = task.attempt();
  running_->pid = std::get<pid_t>(spawned);
  running_->started_at = started_at;
  running_->capture = std::move(capture);
  if (!task.want_started()) return;
  auto& started = *reply_.mutable_started();
  started.set_task(task.task());
  started.set_attempt(task.attempt());
  outbox_.add(reply_);
}

void CommandWorker::reap() {
  bool others = false;
  int status;
  rusage used;
  for (pid_t pid; (pid = ::wait4(-1, &status, WNOHANG, &used)) > 0;) {
    if (running_ && pid == running_->pid) {
      command_ended(status, used);
    } else {
      others = true;
    }
  }
  if (others) stragglers_.look_again();
}

void CommandWorker::command_ended(int status, const rusage& used) {
  const auto now = Clock::now();
  if (running_->capture && running_->capture->take_rest(buffer_)) log_created();
  v1::Outcome& outcome = begin_result(running_->task, running_->attempt);
  set_end(outcome, *running_, status, used, now);
  const bool killed_by_others = outcome.kind() == v1::Outcome::SIGNALED && outcome.signal() == SIGKILL && !running_->killed;
  if (killed_by_others && memory_events_.killed()) outcome.set_kind(v1::Outcome::OUT_OF_MEMORY);
  outbox_.add(reply_);
  stragglers_.look_at(running_->pid, now + grace_);
  if (mode_ == Mode::abandoned) stragglers_.kill_all();
  running_.reset();
}

// Signals are read from a descriptor; so none interrupts anything, and commands inherit nothing but defaults.
FileDescriptor take_signals_by_descriptor() {
  for (int signal = 1; signal < NSIG; ++signal) std::signal(signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGCHLD);
  ::sigprocmask(SIG_SETMASK, &set, nullptr);
  sigdelset(&set, SIGPIPE);
  return FileDescriptor(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

// Opens /dev/null, also in place of standard descriptors that are closed: a command's pipe must not become one of them.
FileDescriptor open_null() {
  int fd;
  do fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  while (fd >= 0 && fd <= 2 && ::fcntl(fd, F_SETFD, 0) == 0);
  return FileDescriptor(fd);
}

}  // namespace

int serve_commands(const std::string& agent) {
  auto identity = take_channel();
  if (!identity) return 1;
  FileDescriptor null = open_null();
  FileDescriptor signals = take_signals_by_descriptor();
  if (!null.valid() || !signals.valid() || ::prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
    std::perror("worker");
    return 1;
  }
  return CommandWorker(std::move(*identity), std::move(signals), std::move(null)).run(agent);
}

}  // namespace poold::worker
