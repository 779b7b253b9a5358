#include "daemon/worker/command_worker.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <deque>
#include <optional>
#include <unordered_set>

#include "client/cpp/src/session.hpp"
#include "client/cpp/src/worker_channel.hpp"
#include "common/frame_message.hpp"
#include "daemon/worker/command_runner.hpp"

namespace poold::worker {
namespace {

// An engine that does not read its results gets no new ones beyond this.
constexpr std::size_t outbox_size_max = 1024 * 1024;
// The engine sends one or two commands ahead; this is for one that does not keep to that.
constexpr std::size_t waiting_max = 100'000;

class CommandWorker {
 public:
  CommandWorker(const Identity& identity, FileDescriptor signals, FileDescriptor null)
      : runner_(identity.pool, std::move(null), outbox_),
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

  v1::FromWorker hello() const;
  v1::FromWorker hello_again() const;
  void start_waiting();
  bool finished() const;
  void wait();
  int time_left() const;
  bool ready(int index) const { return fds_[static_cast<std::size_t>(index)].revents != 0; }

  bool read_frames();
  bool act();
  bool welcome(const v1::WorkerWelcome& welcome);
  void cancel(const v1::WorkerCancel& request);
  void give_back(const v1::WorkerReturn& request);
  void engine_is_gone();
  void meet_engine(std::optional<ResultRing> ring);
  void take_signals();
  bool look_at_lifeline();
  void become_orphan();

  Mode mode_ = Mode::working;
  bool welcomed_ = false;
  bool detached_ = false;  // the engine is gone, and results are kept for the next one, which sends new pipes
  std::string agent_;
  FrameReader reader_;
  Outbox outbox_;
  CommandRunner runner_;
  std::deque<v1::WorkerTask> waiting_;
  v1::ToWorker incoming_;
  v1::FromWorker reply_;
  FileDescriptor signals_;
  std::uint32_t generation_;
  // What wait() waits for, in the order of these names.
  enum { at_lifeline, at_signals, at_tasks, at_out, at_err, at_results, places };
  std::array<pollfd, places> fds_;
};

v1::FromWorker CommandWorker::hello() const {
  v1::FromWorker message;
  auto& hello = *message.mutable_hello();
  hello.add_versions(protocol_version);
  hello.set_generation(generation_);
  hello.set_agent(agent_);
  hello.set_want_ids(true);
  return message;
}

int CommandWorker::run(const std::string& agent) {
  agent_ = agent;
  outbox_.add(hello());
  for (;;) {
    start_waiting();
    if (!detached_ && outbox_.flush() == Outbox::Flush::closed) engine_is_gone();
    if (finished()) {
      if (mode_ != Mode::orphaned) return 0;
      if (!outbox_.acknowledged()) outbox_.write_last_words(hello_again());
      end_with_session(0);
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
    const v1::WorkerTask task = std::move(waiting_.front());
    waiting_.pop_front();
    runner_.start(task);
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
  const bool reads = !detached_ && mode_ != Mode::abandoned && waiting_.size() < waiting_max;
  fds_[at_lifeline] = {mode_ == Mode::orphaned ? -1 : lifeline, POLLIN, 0};
  fds_[at_signals] = {signals_.get(), POLLIN, 0};
  fds_[at_tasks] = {reads ? task_pipe : -1, POLLIN, 0};
  fds_[at_out] = {runner_.output(LogStream::out), POLLIN, 0};
  fds_[at_err] = {runner_.output(LogStream::err), POLLIN, 0};
  fds_[at_results] = {detached_ || outbox_.empty() ? -1 : result_pipe, POLLOUT, 0};
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

// True if there are new pipes.
bool CommandWorker::look_at_lifeline() {
  std::optional<ResultRing> ring;
  switch (read_lifeline(ring)) {
    case LifelineNews::nothing:
      return false;
    case LifelineNews::new_pipes:
      meet_engine(std::move(ring));
      return true;
    case LifelineNews::ended:
      become_orphan();
      return true;
  }
  return false;
}

// The supervisor is gone, and the engine goes with it.
void CommandWorker::become_orphan() {
  if (!outbox_.has_file() || !outbox_.keeps()) end_with_session(0);
  mode_ = Mode::orphaned;
  detached_ = true;
  waiting_.clear();
  runner_.keep_time();
  // What is here already is not to be lost with this worker.
  if (runner_.running()) outbox_.write_last_words(hello_again());
}

// A new one: it is told what this worker owes.
void CommandWorker::meet_engine(std::optional<ResultRing> ring) {
  detached_ = false;
  reader_ = FrameReader();
  outbox_.restart(std::move(ring), hello_again());
}

v1::FromWorker CommandWorker::hello_again() const {
  v1::FromWorker message = hello();
  auto& owed = *message.mutable_hello()->mutable_owed();
  message.mutable_hello()->set_again(true);
  outbox_.each_owed([&](std::uint64_t task) { owed.Add(task); });
  if (const auto running = runner_.running_task()) owed.Add(*running);
  for (const v1::WorkerTask& task : waiting_) owed.Add(task.task());
  return message;
}

void CommandWorker::engine_is_gone() {
  if (outbox_.keeps()) {
    detached_ = true;
    return;
  }
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
  const auto space = reader_.prepare();
  const ssize_t got = ::read(task_pipe, space.data(), space.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (got <= 0) {
    engine_is_gone();
    return true;
  }
  reader_.commit(static_cast<std::size_t>(got));
  for (;;) {
    const FrameResult result = reader_.next();
    if (std::holds_alternative<FrameIncomplete>(result)) return true;
    const auto* frame = std::get_if<Frame>(&result);
    if (frame && parse_message(incoming_, frame->payload) && act()) continue;
    std::fprintf(stderr, "worker: the engine sent what is no protocol\n");
    return false;
  }
}

bool CommandWorker::act() {
  switch (incoming_.frame_case()) {
    case v1::ToWorker::kWelcome:
      return welcome(incoming_.welcome());
    case v1::ToWorker::kTask:
      if (mode_ == Mode::working) waiting_.push_back(std::move(*incoming_.mutable_task()));
      return welcomed_;
    case v1::ToWorker::kCancel:
      cancel(incoming_.cancel());
      return true;
    case v1::ToWorker::kSignal: {
      const auto& request = incoming_.signal();
      if (runner_.running(request.task(), request.attempt()))
        runner_.signal(static_cast<int>(request.signal()));
      return true;
    }
    case v1::ToWorker::kReturn:
      give_back(incoming_.return_());
      return true;
    case v1::ToWorker::kStop:
      if (mode_ == Mode::working) mode_ = Mode::stopping;
      return true;
    case v1::ToWorker::kAck:
      for (const std::uint64_t task : incoming_.ack().tasks()) outbox_.acknowledge(task);
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
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const v1::WorkerTask& task) {
    return task.task() == request.task() && task.attempt() == request.attempt();
  });
  if (found == waiting_.end()) return;
  waiting_.erase(found);
  auto& result = *reply_.mutable_result();
  result.set_task(request.task());
  result.set_attempt(request.attempt());
  result.mutable_outcome()->set_kind(v1::Outcome::CANCELLED);
  outbox_.add_result(reply_, request.task());
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
