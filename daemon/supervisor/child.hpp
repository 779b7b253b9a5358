// One child from its start to its end: noticed by pidfd, peeked at, its session killed to the last process,
// then reaped, then reported. In this order, so that nothing of a dead worker runs beside its successor.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <variant>

#include "daemon/supervisor/session.hpp"
#include "daemon/supervisor/spawn.hpp"

namespace poold::supervisor {

class Child : public std::enable_shared_from_this<Child> {
 public:
  using Dead = std::function<void()>;                   // the process has ended; its session is being killed
  using Gone = std::function<void(const ExitReport&)>;  // nothing is left of it

  // Starts the process and the watch. `own` must outlive it.
  static std::variant<std::shared_ptr<Child>, StartError> start(boost::asio::io_context& io, OwnChildren& own,
                                                                const ProcessPlan& plan);
  ~Child();

  // Each is called once, from the loop, `dead` before `gone`; `dead` may be empty. To be called right after
  // start.
  void watch(Dead dead, Gone gone);
  pid_t pid() const { return process_.pid(); }
  void signal(int number) const { process_.signal(number); }

 private:
  Child(boost::asio::io_context& io, OwnChildren& own, Process process);
  void wait_for_death();
  void end_session();
  void finish();

  OwnChildren& own_;
  Process process_;
  boost::asio::posix::stream_descriptor watch_;   // on the pidfd, which stays the process's
  boost::asio::posix::stream_descriptor member_;  // on some process of the dying session
  ExitReport report_;
  bool reaped_ = false;
  Dead dead_;
  Gone gone_;
};

}  // namespace poold::supervisor
