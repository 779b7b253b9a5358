#include "daemon/supervisor/child.hpp"

#include <utility>

#include "daemon/supervisor/killed.hpp"

namespace poold::supervisor {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

std::variant<std::shared_ptr<Child>, StartError> Child::start(boost::asio::io_context& io, OwnChildren& own,
                                                              const ProcessPlan& plan) {
  std::variant<Process, StartError> spawned = spawn(plan);
  if (auto* error = std::get_if<StartError>(&spawned)) return std::move(*error);
  std::shared_ptr<Child> child(new Child(io, own, std::get<Process>(std::move(spawned))));
  error_code error;
  child->watch_.assign(child->process_.pidfd(), error);
  if (error) return StartError{error.value(), plan.path, "cannot be watched: " + error.message()};
  return child;
}

Child::Child(boost::asio::io_context& io, OwnChildren& own, Process process)
    : own_(own), process_(std::move(process)), watch_(io), member_(io) {
  own_.add(process_.pid());
}

Child::~Child() {
  if (watch_.is_open()) watch_.release();
  if (!reaped_) own_.remove(process_.pid());  // Process kills and reaps it
}

void Child::watch(Dead dead, Gone gone) {
  dead_ = std::move(dead);
  gone_ = std::move(gone);
  wait_for_death();
}

void Child::wait_for_death() {
  watch_.async_wait(stream_descriptor::wait_read, [self = shared_from_this()](const error_code& error) {
    if (error) return;
    std::optional<ExitReport> report = self->process_.peek();
    if (!report) return self->wait_for_death();
    self->report_ = *report;
    if (self->dead_) self->dead_();
    self->end_session();
  });
}

void Child::end_session() {
  FileDescriptor member = kill_session(process_.pid(), own_);
  if (!member.valid()) {
    // Gone altogether, not only dead: whoever looks after the report finds nothing of it.
    reap_strangers(own_);
    return finish();
  }
  when_killed_is_gone(member_, std::move(member), [self = shared_from_this()] { self->end_session(); });
}

void Child::finish() {
  error_code error;
  member_.close(error);
  const pid_t pid = process_.pid();
  watch_.release();
  process_.reap();
  reaped_ = true;
  own_.remove(pid);
  // Taken off first: the callee may let go of this child.
  const Gone gone = std::exchange(gone_, nullptr);
  dead_ = nullptr;
  gone(report_);
}

}  // namespace poold::supervisor
