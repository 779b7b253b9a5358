// One engine after another: its process and its channel, and whether it still answers. When the next one is
// started, and what its messages mean, is decided in supervisor.cpp.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "daemon/supervisor/channel.hpp"
#include "daemon/supervisor/child.hpp"
#include "daemon/supervisor/decisions.hpp"

namespace poold::supervisor {

class EngineChild {
 public:
  enum class State {
    absent,    // no process
    starting,  // it has its welcome
    ready,     // it serves clients
    ending,    // it is dead or was killed; its session is being killed
  };
  struct Events {
    std::function<void(const internal::ToSupervisor&, std::vector<FileDescriptor>)> message;  // but Pong
    std::function<void()> answered;            // it has answered the last question
    std::function<void()> dead;                // it will do nothing any more
    std::function<void(bool was_ready)> gone;  // nothing is left of it: another one may be started
  };

  EngineChild(boost::asio::io_context& io, OwnChildren& own, Events events, EngineTimes times = {});

  // `plan` lacks only its descriptors. `welcome` and its descriptors are sent first. The state must be
  // `absent`.
  std::variant<std::monostate, StartError> start(ProcessPlan plan, const internal::Welcome& welcome,
                                                 std::vector<FileDescriptor> descriptors);
  // To an engine that is starting or ready; dropped otherwise.
  void send(const internal::ToEngine& message, std::vector<FileDescriptor> descriptors = {});
  void mark_ready();
  // Asks now whether it lives; the answer also says that it has read all that was sent before.
  void ask();
  pid_t pid() const { return child_ ? child_->pid() : 0; }
  // Ends it at once. `reason` is for the log; nothing happens if there is none.
  void kill(const std::string& reason);
  State state() const { return state_; }

 private:
  void on_message(const internal::ToSupervisor& message, std::vector<FileDescriptor> descriptors);
  void on_broken(ChannelEnd end, const std::string& reason);
  void on_dead();
  void on_gone(const ExitReport& report);
  void arm_ping();
  void on_ping_time();

  boost::asio::io_context& io_;
  OwnChildren& own_;
  Events events_;
  EngineTimes times_;
  State state_ = State::absent;
  bool was_ready_ = false;
  std::string kill_reason_;
  std::shared_ptr<Child> child_;
  std::shared_ptr<Channel> channel_;
  boost::asio::steady_timer timer_;  // for the next ping; for the farewell once the channel is closed
  std::uint64_t pings_ = 0;          // the number of the last one
  // When the unanswered ping was sent.
  std::optional<std::chrono::steady_clock::time_point> asked_at_;
};

}  // namespace poold::supervisor
