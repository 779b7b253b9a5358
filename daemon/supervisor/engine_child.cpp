#include "daemon/supervisor/engine_child.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "common/invariant.hpp"

namespace poold::supervisor {

using Clock = std::chrono::steady_clock;

namespace {

StartError start_failure(const ProcessPlan& plan, int errno_value) {
  return {errno_value, plan.path, std::string("no channel to it: ") + std::strerror(errno_value)};
}

}  // namespace

EngineChild::EngineChild(boost::asio::io_context& io, OwnChildren& own, Events events, EngineTimes times)
    : io_(io), own_(own), events_(std::move(events)), times_(times), timer_(io) {}

std::variant<std::monostate, StartError> EngineChild::start(ProcessPlan plan,
                                                            const internal::Welcome& welcome,
                                                            std::vector<FileDescriptor> descriptors) {
  invariant(state_ == State::absent, "one engine at a time");
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return start_failure(plan, errno);
  FileDescriptor ours(ends[0]);
  const FileDescriptor theirs(ends[1]);
  const FileDescriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return start_failure(plan, errno);
  plan.descriptors = {null.get(), STDERR_FILENO, STDERR_FILENO, theirs.get()};

  try {
    channel_ = std::make_shared<Channel>(io_, std::move(ours));
  } catch (const boost::system::system_error& thrown) {
    return start_failure(plan, thrown.code().value());
  }
  auto started = Child::start(io_, own_, plan);
  if (auto* error = std::get_if<StartError>(&started)) {
    channel_.reset();
    return std::move(*error);
  }
  child_ = std::get<std::shared_ptr<Child>>(std::move(started));
  state_ = State::starting;
  was_ready_ = false;
  kill_reason_.clear();
  child_->watch([this] { on_dead(); }, [this](const ExitReport& report) { on_gone(report); });
  channel_->open([this](const internal::ToSupervisor& message,
                        std::vector<FileDescriptor> got) { on_message(message, std::move(got)); },
                 [this](ChannelEnd end, const std::string& reason) { on_broken(end, reason); });
  internal::ToEngine first;
  *first.mutable_welcome() = welcome;
  send(first, std::move(descriptors));
  asked_at_.reset();
  arm_ping();
  spdlog::info("engine {} started", child_->pid());
  return std::monostate{};
}

void EngineChild::send(const internal::ToEngine& message, std::vector<FileDescriptor> descriptors) {
  if (state_ == State::starting || state_ == State::ready) channel_->send(message, std::move(descriptors));
}

void EngineChild::mark_ready() {
  if (state_ != State::starting) return;
  state_ = State::ready;
  was_ready_ = true;
}

void EngineChild::ask() {
  // An older question that is still open keeps its time.
  if (!asked_at_) asked_at_ = Clock::now();
  internal::ToEngine ping;
  ping.mutable_ping()->set_number(++pings_);
  send(ping);
}

void EngineChild::kill(const std::string& reason) {
  if (state_ == State::absent || state_ == State::ending || !kill_reason_.empty()) return;
  kill_reason_ = reason;
  child_->signal(SIGKILL);
}

void EngineChild::on_message(const internal::ToSupervisor& message, std::vector<FileDescriptor> descriptors) {
  if (message.message_case() != internal::ToSupervisor::kPong)
    return events_.message(message, std::move(descriptors));
  if (message.pong().number() != pings_) return;
  asked_at_.reset();
  events_.answered();
}

void EngineChild::on_broken(ChannelEnd end, const std::string& reason) {
  switch (end) {
    case ChannelEnd::failed:
      return kill(reason);
    case ChannelEnd::closed:
      // Most often its process ends in the next moment, and how it ended then shows.
      timer_.expires_after(times_.farewell);
      timer_.async_wait([this, reason](const boost::system::error_code& error) {
        if (!error) kill(reason);
      });
  }
}

void EngineChild::on_dead() {
  timer_.cancel();
  state_ = State::ending;
  // What it said before it died still counts.
  channel_->drain();
  channel_->close();
  events_.dead();
}

void EngineChild::on_gone(const ExitReport& report) {
  const std::string end = to_string(report);
  const std::string why = kill_reason_.empty() ? "" : " (by the supervisor: " + kill_reason_ + ")";
  const bool clean = !report.signaled && report.code == 0;
  spdlog::log(clean ? spdlog::level::info : spdlog::level::err, "engine {} {}{}", child_->pid(), end, why);
  child_.reset();
  channel_.reset();
  state_ = State::absent;
  events_.gone(was_ready_);
}

void EngineChild::arm_ping() {
  timer_.expires_after(times_.period);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) on_ping_time();
  });
}

void EngineChild::on_ping_time() {
  if (state_ == State::absent || state_ == State::ending) return;
  // If this process was the slow one, the answer is here already.
  channel_->drain();
  if (!channel_->is_open()) return;
  const Clock::time_point now = Clock::now();
  if (asked_at_ && now - *asked_at_ >= times_.patience)
    return kill("it has not answered for " + std::to_string((now - *asked_at_) / std::chrono::seconds(1)) +
                " s");
  if (!asked_at_) ask();
  arm_ping();
}

}  // namespace poold::supervisor
