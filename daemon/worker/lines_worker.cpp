// One task at a time: the daemon is asked to send none ahead, because the first task without a result is the
// one that is charged when this worker ends, and a program may spoil its own end at any line. What it prints
// on stderr goes to its task's log, and to the daemon's while it has none.
//
// In a disk pool the program goes on when the engine or the supervisor dies, and knows nothing of it
// (engine_link.hpp): its answer is kept for the next engine, or for the worker file.
//
// A line that is wrong ends the program: nobody can know which task its next answers are about.
#include "daemon/worker/lines_worker.hpp"

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <utility>

#include "client/cpp/poold/worker.hpp"
#include "client/cpp/src/function_caller.hpp"
#include "client/cpp/src/session.hpp"
#include "client/cpp/src/worker_channel.hpp"
#include "daemon/worker/engine_link.hpp"
#include "daemon/worker/line_messages.hpp"
#include "daemon/worker/lines_attempt.hpp"
#include "daemon/worker/lines_program.hpp"
#include "daemon/worker/waiting_tasks.hpp"

namespace poold::worker {
namespace {

using Clock = std::chrono::steady_clock;

// An engine that does not read gets nothing new beyond this, and the program is not read.
constexpr std::size_t outbox_size_max = 1024 * 1024;
// How long a program may live on after it closed its stdout, as any worker after it closed its pipe.
constexpr auto closed_output_patience = std::chrono::seconds(1);

class LinesWorker {
 public:
  LinesWorker(const Identity& identity, std::string agent, LinesProgram program)
      : generation_(identity.generation),
        agent_(std::move(agent)),
        program_(std::move(program)),
        link_(outbox_, [this] { return unfinished(); }) {}

  int run();

 private:
  void give_next();
  void wait();
  int time_left() const;
  bool ready(int index) const { return fds_[static_cast<std::size_t>(index)].revents != 0; }

  // What the daemon says.
  bool read_frames();
  bool act(v1::ToWorker& message);
  bool welcome(v1::ToWorker& message);
  void cancel(v1::ToWorker& message);
  void look_at_lifeline();
  std::vector<std::uint64_t> unfinished() const;
  void end_if_over();
  void settle(const std::string& complaint);

  // What the program says. Where something is wrong, `wrong_` is set.
  void read_lines();
  void take_line(std::string_view line);
  void take_hello(const v1::WorkerHello& said);
  void take_result(v1::WorkerResult& said);
  void take_errors();

  int end_of_program();
  int fail();

  std::uint32_t generation_;
  std::string agent_;
  LinesProgram program_;
  Outbox outbox_;
  EngineLink link_;
  LinesAttempt attempt_{outbox_};
  bool welcomed_ = false;
  bool ready_ = false;     // the program has said hello
  bool stopping_ = false;  // no new tasks; those that are here are run
  std::string wrong_;
  WaitingTasks waiting_{outbox_};
  std::optional<Clock::time_point> kill_at_;  // it closed its output
  enum { at_lifeline, at_tasks, at_results, at_input, at_output, at_errors, at_end, places };
  std::array<pollfd, places> fds_;
};

int LinesWorker::run() {
  for (;;) {
    give_next();
    program_.flush();
    if (link_.flush() == EngineLink::Engine::lost) end_with_session(0);
    if (link_.orphaned()) end_if_over();
    wait();
    if (ready(at_lifeline)) {
      look_at_lifeline();
      continue;  // the pipes that were waited for may be gone
    }
    if (ready(at_tasks) && !read_frames()) return 1;
    if (ready(at_errors)) take_errors();
    if (ready(at_output)) read_lines();
    if (!wrong_.empty()) return fail();
    if (ready(at_end)) return end_of_program();
    if (kill_at_ && Clock::now() >= *kill_at_) {
      kill_at_.reset();
      program_.kill();
    }
  }
}

// One whose program is not ready has nothing to be kept.
void LinesWorker::look_at_lifeline() {
  if (!ready_) end_with_session(0);
  if (link_.look_at_lifeline() != EngineLink::News::orphaned) return;
  waiting_.clear();
  if (attempt_.running()) link_.write_last_words();
}

std::vector<std::uint64_t> LinesWorker::unfinished() const {
  std::vector<std::uint64_t> tasks;
  if (const auto running = attempt_.running_task()) tasks.push_back(*running);
  for (const v1::WorkerTask& task : waiting_) tasks.push_back(task.task());
  return tasks;
}

// Of an orphan: the attempt that it went on for, which nobody else holds to its time.
void LinesWorker::end_if_over() {
  if (attempt_.running() && attempt_.limit_at() && Clock::now() >= *attempt_.limit_at()) {
    take_errors();
    v1::Outcome outcome;
    outcome.set_kind(v1::Outcome::TIMED_OUT);
    attempt_.end(std::move(outcome));
  }
  if (!attempt_.running()) link_.end_as_orphan();
}

// Before this process ends: what it owes is not to be lost because the engine has just died.
void LinesWorker::settle(const std::string& complaint) {
  for (;;) {
    if (link_.orphaned()) link_.end_as_orphan();
    link_.notice_end();
    const bool owes = attempt_.running() || !outbox_.acknowledged();
    if (link_.connected()) {
      if (!complaint.empty()) add_complaint(outbox_, generation_, complaint);
      // Where all is in the ring, nobody is told while this process lives: the engine would send the next
      // task right into its end. What is in the ring counts.
      if (outbox_.safe() || outbox_.flush_all() || !outbox_.keeps()) return;
    } else if (!owes) {
      return;
    }
    pollfd supervisor{lifeline, POLLIN, 0};
    if (::poll(&supervisor, 1, -1) > 0) look_at_lifeline();
  }
}

void LinesWorker::give_next() {
  if (!ready_ || attempt_.running() || outbox_.size() >= outbox_size_max) return;
  if (waiting_.empty()) {
    if (!stopping_) return;
    stopping_ = false;  // said once
    v1::ToWorker stop;
    stop.mutable_stop();
    program_.write(to_line(stop));
    program_.end_input();
    return;
  }
  take_errors();  // what it printed between two tasks is neither's
  v1::ToWorker message;
  *message.mutable_task() = waiting_.pop();
  attempt_.begin(message.task());
  message.mutable_task()->clear_want_started();  // was answered just now
  program_.write(to_line(message));
}

void LinesWorker::wait() {
  fds_[at_lifeline] = {link_.supervisor(), POLLIN, 0};
  fds_[at_tasks] = {link_.tasks(), POLLIN, 0};
  fds_[at_results] = {link_.results(), POLLOUT, 0};
  fds_[at_input] = {program_.input(), POLLOUT, 0};
  const bool has_room = !link_.connected() || outbox_.size() < outbox_size_max;
  fds_[at_output] = {has_room ? program_.output() : -1, POLLIN, 0};
  fds_[at_errors] = {program_.errors(), POLLIN, 0};
  fds_[at_end] = {program_.end(), POLLIN, 0};
  if (::poll(fds_.data(), fds_.size(), time_left()) <= 0)
    for (pollfd& fd : fds_) fd.revents = 0;
}

// Milliseconds until somebody's time is up, rounded up; -1: nobody's.
int LinesWorker::time_left() const {
  auto next = kill_at_;
  const auto limit = link_.orphaned() ? attempt_.limit_at() : std::nullopt;
  if (limit && (!next || *limit < *next)) next = limit;
  if (!next) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000'000));
}

// False: what came in is no protocol, and the reason is on stderr.
bool LinesWorker::read_frames() {
  EngineLink::Engine engine;
  const auto read = link_.read([this](v1::ToWorker& message) { return act(message); }, engine);
  if (engine == EngineLink::Engine::lost) end_with_session(0);
  return read == EngineLink::Read::good;
}

bool LinesWorker::act(v1::ToWorker& message) {
  switch (message.frame_case()) {
    case v1::ToWorker::kWelcome:
      return welcome(message);
    case v1::ToWorker::kTask:
      waiting_.push(std::move(*message.mutable_task()));
      return welcomed_;
    case v1::ToWorker::kCancel:
      cancel(message);
      return true;
    case v1::ToWorker::kReturn:
      waiting_.give_back(message.return_());
      return true;
    case v1::ToWorker::kStop:
      stopping_ = true;
      return true;
    case v1::ToWorker::kAck:
      for (const std::uint64_t task : message.ack().tasks()) outbox_.acknowledge(task);
      return true;
    case v1::ToWorker::kSignal:        // is for commands
    case v1::ToWorker::FRAME_NOT_SET:  // of a later version
      return true;
  }
  return true;
}

bool LinesWorker::welcome(v1::ToWorker& message) {
  v1::WorkerWelcome& welcome = *message.mutable_welcome();
  const auto& versions = welcome.versions();
  if (std::find(versions.begin(), versions.end(), protocol_version) == versions.end()) return false;
  attempt_.keep_logs(welcome.log_directory(), welcome.log_size());
  if (welcome.keep_results()) outbox_.keep();
  if (std::exchange(welcomed_, true)) return true;  // the program knows no second engine
  // Not the program's business.
  welcome.clear_log_directory();
  welcome.clear_log_size();
  welcome.clear_keep_results();
  program_.write(to_line(message));
  return true;
}

void LinesWorker::cancel(v1::ToWorker& message) {
  const v1::WorkerCancel& request = message.cancel();
  // A program that does not listen while it works is killed by the daemon when its time is over.
  if (attempt_.is({request.task(), request.attempt()})) return program_.write(to_line(message));
  waiting_.cancel(request);
}

void LinesWorker::read_lines() {
  const bool open = program_.read_output();
  while (wrong_.empty()) {
    const auto line = program_.lines().next();
    if (!line) break;
    take_line(*line);
  }
  if (wrong_.empty() && program_.lines().too_long())
    wrong_ = "it printed a line of more than " + std::to_string(line_size_max) + " bytes";
  if (!open) kill_at_ = Clock::now() + closed_output_patience;
}

void LinesWorker::take_line(std::string_view line) {
  auto read = from_line(line);
  if (auto* complaint = std::get_if<std::string>(&read)) {
    wrong_ = std::move(*complaint);
    return;
  }
  auto& message = std::get<v1::FromWorker>(read);
  if (message.has_hello()) return take_hello(message.hello());
  if (!ready_) {
    wrong_ = "its first line is no hello, such as {\"hello\": {}}";
    return;
  }
  if (message.has_result()) return take_result(*message.mutable_result());
  const v1::WorkerProgress& progress = message.progress();
  if (link_.connected() && attempt_.is({progress.task(), progress.attempt()})) outbox_.add(message);
}

void LinesWorker::take_hello(const v1::WorkerHello& said) {
  const auto& versions = said.versions();
  if (ready_)
    wrong_ = "it said hello twice";
  else if (!versions.empty() &&
           std::find(versions.begin(), versions.end(), protocol_version) == versions.end())
    wrong_ = "hello.versions: version 1 is spoken here";
  else if (said.generation() != 0 && said.generation() != generation_)
    wrong_ = "hello.generation: it is generation " + std::to_string(generation_) + ", see POOLD_WORKER";
  else
    wrong_ = said.error();
  if (!wrong_.empty()) return;
  ready_ = true;
  v1::FromWorker message;
  auto& hello = *message.mutable_hello();
  hello.add_versions(protocol_version);
  hello.set_generation(generation_);
  hello.set_agent(said.agent().empty() ? agent_ : said.agent());
  *hello.mutable_functions() = said.functions();
  hello.set_want_ids(true);
  hello.set_one_at_a_time(true);
  link_.say_hello(std::move(message));
}

void LinesWorker::take_result(v1::WorkerResult& said) {
  const LinesAttempt::Name name{said.task(), said.attempt()};
  if (!attempt_.is(name) && attempt_.answered(name)) {
    std::fprintf(stderr, "worker: the program answered a task twice; the first answer counts\n");
    return;
  }
  if (!attempt_.is(name)) {
    wrong_ = "result.task, result.attempt: " + std::to_string(name.task) + ", " +
             std::to_string(name.attempt) + " is no task that it was given; both are to be repeated";
    return;
  }
  auto checked = function_outcome(std::move(*said.mutable_outcome()));
  if (auto* complaint = std::get_if<std::string>(&checked)) {
    wrong_ = std::move(*complaint);
    return;
  }
  take_errors();  // it has printed them before
  attempt_.end(std::move(std::get<v1::Outcome>(checked)));
}

void LinesWorker::take_errors() {
  program_.take_errors([this](std::string_view text) {
    if (attempt_.running()) return attempt_.add_errors(text);
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
  });
}

// Something is wrong with what the program said.
int LinesWorker::fail() {
  std::fprintf(stderr, "worker: the program speaks no protocol: %s\n", wrong_.c_str());
  take_errors();
  if (attempt_.running()) {
    v1::Outcome outcome;
    set_error(outcome, v1::Outcome::RAISED, "ProtocolError", wrong_);
    attempt_.end(std::move(outcome));
  }
  settle(wrong_);
  return 1;
}

// What it said before its end counts; how it ended is how this process ends.
int LinesWorker::end_of_program() {
  while (wrong_.empty() && program_.output() >= 0) {
    pollfd more{program_.output(), POLLIN, 0};
    if (::poll(&more, 1, 0) <= 0) break;
    read_lines();
  }
  if (!wrong_.empty()) return fail();
  take_errors();
  settle({});
  const int status = program_.reap();
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);  // it was not this process that did wrong
  std::signal(WTERMSIG(status), SIG_DFL);
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_UNBLOCK, &all, nullptr);
  ::kill(::getpid(), WTERMSIG(status));
  return 128 + WTERMSIG(status);
}

}  // namespace

int serve_lines(const std::string& agent, const std::vector<std::string>& argv) {
  const auto identity = take_channel();
  if (!identity) return 1;
  // Blocked, not ignored: what is ignored would be so in the program, too.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  ::sigprocmask(SIG_BLOCK, &pipe, nullptr);
  auto started = LinesProgram::start(argv);
  if (const auto* why = std::get_if<std::string>(&started)) return refuse(*why);
  return LinesWorker(*identity, agent, std::move(std::get<LinesProgram>(started))).run();
}

}  // namespace poold::worker
