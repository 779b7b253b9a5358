#include "daemon/worker/command_worker.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <utility>
#include <vector>

#include "client/cpp/src/worker_channel.hpp"
#include "daemon/worker/command_runner.hpp"
#include "daemon/worker/engine_link.hpp"
#include "daemon/worker/waiting_tasks.hpp"

namespace poold::worker {
namespace {

// An engine that does not read its results gets no new ones beyond this.
constexpr std::size_t outbox_size_max = 1024 * 1024;
// The engine sends one or two commands ahead; this is for one that does not keep to that.
constexpr std::size_t waiting_max = 100'000;

class CommandWorker {
 public:
  CommandWorker(const Identity& identity, FileDescriptor signals, FileDescriptor null)
      : link_(outbox_, [this] { return unfinished(); }),
        runner_(identity.pool, std::move(null), outbox_),
        signals_(std::move(signals)),
        generation_(identity.generation) {}

  int run(const std::string& agent);

 private:
  enum class Mode {
    working,
    stopping,   // no new tasks; those that are here are run
    ending,     // none of the waiting tasks either: SIGTERM
    abandoned,  // the engine is gone: what runs ends, and nobody will hear of it
    orphaned,   // the supervisor is gone: what runs is finished, and a later engine reads of it in the worker
                // file
  };

  v1::FromWorker hello(const std::string& agent) const;
  std::vector<std::uint64_t> unfinished() const;
  void start_waiting();
  bool finished() const;
  void wait();
  int time_left() const;
  bool ready(int index) const { return fds_[static_cast<std::size_t>(index)].revents != 0; }

  bool read_frames();
  bool act(v1::ToWorker& message);
  bool welcome(const v1::WorkerWelcome& welcome);
  void cancel(const v1::WorkerCancel& request);
  void abandon();
  void take_signals();
  bool look_at_lifeline();
  void become_orphan();

  Mode mode_ = Mode::working;
  bool welcomed_ = false;
  Outbox outbox_;
  EngineLink link_;
  CommandRunner runner_;
  WaitingTasks waiting_{outbox_};
  FileDescriptor signals_;
  std::uint32_t generation_;
  // What wait() waits for, in the order of these names.
  enum { at_lifeline, at_signals, at_tasks, at_out, at_err, at_results, places };
  std::array<pollfd, places> fds_;
};

v1::FromWorker CommandWorker::hello(const std::string& agent) const {
  v1::FromWorker message;
  auto& hello = *message.mutable_hello();
  hello.add_versions(protocol_version);
  hello.set_generation(generation_);
  hello.set_agent(agent);
  hello.set_want_ids(true);
  return message;
}

int CommandWorker::run(const std::string& agent) {
  link_.say_hello(hello(agent));
  for (;;) {
    start_waiting();
    if (link_.flush() == EngineLink::Engine::lost) abandon();
    if (finished()) {
      if (mode_ == Mode::orphaned) link_.end_as_orphan();
      return 0;
    }
    wait();
    if (ready(at_lifeline) && look_at_lifeline()) continue;  // the pipes that were waited for are gone
    if (ready(at_out)) runner_.take_output(LogStream::out);
    if (ready(at_err)) runner_.take_output(LogStream::err);
    if (ready(at_signals)) take_signals();
    if (ready(at_tasks) && !read_frames()) return 1;
    if (runner_.next_kill()) runner_.kill_due(Clock::now());
  }
}

void CommandWorker::start_waiting() {
  while (!runner_.running() && !waiting_.empty() && outbox_.size() < outbox_size_max) {
    runner_.start(waiting_.pop());
  }
}

bool CommandWorker::finished() const {
  switch (mode_) {
    case Mode::working:
      return false;
    case Mode::stopping:
    case Mode::ending:
      return waiting_.empty() && runner_.idle() && outbox_.empty() && outbox_.acknowledged();
    case Mode::abandoned:
      return runner_.idle();
    case Mode::orphaned:
      return runner_.idle();
  }
  return false;
}

void CommandWorker::wait() {
  const bool reads = mode_ != Mode::abandoned && waiting_.size() < waiting_max;
  fds_[at_lifeline] = {link_.supervisor(), POLLIN, 0};
  fds_[at_signals] = {signals_.get(), POLLIN, 0};
  fds_[at_tasks] = {reads ? link_.tasks() : -1, POLLIN, 0};
  fds_[at_out] = {runner_.output(LogStream::out), POLLIN, 0};
  fds_[at_err] = {runner_.output(LogStream::err), POLLIN, 0};
  fds_[at_results] = {link_.results(), POLLOUT, 0};
  if (::poll(fds_.data(), fds_.size(), time_left()) <= 0)
    for (pollfd& fd : fds_) fd.revents = 0;
}

// Milliseconds until somebody's time is up, rounded up; -1: nobody's.
int CommandWorker::time_left() const {
  const auto next = runner_.next_kill();
  if (!next) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000'000));
}

// True if there are new pipes, or none any more.
bool CommandWorker::look_at_lifeline() {
  switch (link_.look_at_lifeline()) {
    case EngineLink::News::nothing:
      return false;
    case EngineLink::News::new_engine:
      return true;
    case EngineLink::News::orphaned:
      become_orphan();
      return true;
  }
  return false;
}

// The supervisor is gone, and the engine goes with it.
void CommandWorker::become_orphan() {
  mode_ = Mode::orphaned;
  waiting_.clear();
  runner_.keep_time();
  if (runner_.running()) link_.write_last_words();
}

std::vector<std::uint64_t> CommandWorker::unfinished() const {
  std::vector<std::uint64_t> tasks;
  if (const auto running = runner_.running_task()) tasks.push_back(*running);
  for (const v1::WorkerTask& task : waiting_) tasks.push_back(task.task());
  return tasks;
}

void CommandWorker::abandon() {
  mode_ = Mode::abandoned;
  waiting_.clear();
  runner_.abandon();
}

void CommandWorker::take_signals() {
  std::array<signalfd_siginfo, 8> infos;
  const ssize_t got = ::read(signals_.get(), infos.data(), sizeof infos);
  for (std::size_t i = 0; got > 0 && i < static_cast<std::size_t>(got) / sizeof infos[0]; ++i) {
    if (infos[i].ssi_signo != SIGTERM) continue;
    if (mode_ != Mode::abandoned && mode_ != Mode::orphaned) mode_ = Mode::ending;
    waiting_.clear();
    runner_.cancel();
  }
  runner_.reap();
}

// False: what came in is no protocol, and the reason is on stderr.
bool CommandWorker::read_frames() {
  EngineLink::Engine engine;
  const auto read = link_.read([this](v1::ToWorker& message) { return act(message); }, engine);
  if (engine == EngineLink::Engine::lost) abandon();
  return read == EngineLink::Read::good;
}

bool CommandWorker::act(v1::ToWorker& message) {
  switch (message.frame_case()) {
    case v1::ToWorker::kWelcome:
      return welcome(message.welcome());
    case v1::ToWorker::kTask:
      if (mode_ == Mode::working) waiting_.push(std::move(*message.mutable_task()));
      return welcomed_;
    case v1::ToWorker::kCancel:
      cancel(message.cancel());
      return true;
    case v1::ToWorker::kSignal: {
      const auto& request = message.signal();
      if (runner_.running(request.task(), request.attempt()))
        runner_.signal(static_cast<int>(request.signal()));
      return true;
    }
    case v1::ToWorker::kReturn:
      waiting_.give_back(message.return_());
      return true;
    case v1::ToWorker::kStop:
      if (mode_ == Mode::working) mode_ = Mode::stopping;
      return true;
    case v1::ToWorker::kAck:
      for (const std::uint64_t task : message.ack().tasks()) outbox_.acknowledge(task);
      return true;
    case v1::ToWorker::FRAME_NOT_SET:  // of a later version
      return true;
  }
  return true;
}

bool CommandWorker::welcome(const v1::WorkerWelcome& welcome) {
  const auto& versions = welcome.versions();
  if (std::find(versions.begin(), versions.end(), protocol_version) == versions.end()) return false;
  welcomed_ = true;
  if (welcome.keep_results()) outbox_.keep();
  runner_.configure(welcome);
  return true;
}

void CommandWorker::cancel(const v1::WorkerCancel& request) {
  if (runner_.running(request.task(), request.attempt())) {
    if (!request.has_grace()) return runner_.cancel();
    return runner_.cancel(std::chrono::seconds(request.grace().seconds()) +
                          std::chrono::nanoseconds(request.grace().nanos()));
  }
  waiting_.cancel(request);
}

// Signals are read from a descriptor, so that none interrupts anything, and commands inherit nothing but
// defaults.
FileDescriptor take_signals_by_descriptor() {
  for (int signal = 1; signal < NSIG; ++signal) std::signal(signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGCHLD);
  FileDescriptor signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  sigaddset(&set, SIGPIPE);
  ::sigprocmask(SIG_SETMASK, &set, nullptr);
  return signals;
}

// Opens /dev/null, also in place of standard descriptors that are closed: a command's pipe must not become
// one of them.
FileDescriptor open_null() {
  int fd;
  do fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  while (fd >= 0 && fd <= 2 && ::fcntl(fd, F_SETFD, 0) == 0);
  return FileDescriptor(fd);
}

}  // namespace

int serve_commands(const std::string& agent) {
  const auto identity = take_channel();
  if (!identity) return 1;
  FileDescriptor null = open_null();
  FileDescriptor signals = take_signals_by_descriptor();
  // What a command leaves behind becomes this process's child, and is reaped here.
  if (!null.valid() || !signals.valid() || ::prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
    std::perror("worker");
    return 1;
  }
  return CommandWorker(*identity, std::move(signals), std::move(null)).run(agent);
}

}  // namespace poold::worker
