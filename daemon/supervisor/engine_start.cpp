// The supervisor's part of an engine's start: when, with what, and what it is told first.
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/fail_point.hpp"
#include "daemon/supervisor/supervisor.hpp"
#include "daemon/supervisor/text.hpp"

namespace poold::supervisor {

using Clock = std::chrono::steady_clock;
using boost::system::error_code;

void Supervisor::plan_engine() {
  if (engine_delay_ > milliseconds{0}) spdlog::warn("the next engine starts in {} ms", engine_delay_.count());
  engine_timer_.expires_at(next_engine_at_);
  engine_timer_.async_wait([this](const error_code& error) {
    // Planned twice, because a worker died meanwhile, and the first plan was being carried out already.
    if (engine_.state() != EngineChild::State::absent) return;
    if (error || phase_ != Phase::running || start_engine()) return;
    engine_delay_ = engine_delay(false, engine_delay_);
    next_engine_at_ = Clock::now() + engine_delay_;
    plan_engine();
  });
}

bool Supervisor::start_engine() {
  ProcessPlan plan;
  const bool former = upgrade_ == Upgrade::former_engine && program_.valid();
  // By its descriptor: its name may be another program's by now, or nothing's.
  plan.path = former ? "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(program_.get())
                     : options_.directories.programs + "/poold-engine";
  starting_program_ = FileDescriptor(former ? ::fcntl(program_.get(), F_DUPFD_CLOEXEC, 0)
                                            : ::open(plan.path.c_str(), O_PATH | O_CLOEXEC));
  plan.argv = {"poold-engine"};
  plan.environment = engine_environment(environ);
  plan.dies_with_parent = true;
  plan.open_files = open_files_;

  std::vector<FileDescriptor> descriptors;
  descriptors.push_back(make_sealed_memory("poold configuration", configuration_.text));
  descriptors.emplace_back(::fcntl(claim_.socket().descriptor(), F_DUPFD_CLOEXEC, 0));
  if (!descriptors[0].valid() || !descriptors[1].valid()) {
    spdlog::error("the engine cannot be started: {}", std::strerror(errno));
    return false;
  }
  if (handover_.valid()) descriptors.emplace_back(::fcntl(handover_.get(), F_DUPFD_CLOEXEC, 0));
  const auto started = engine_.start(std::move(plan), welcome(), std::move(descriptors));
  if (const auto* error = std::get_if<StartError>(&started)) {
    spdlog::error("the engine cannot be started: {}", printable(to_string(*error)));
    return false;
  }
  pass(FailPoint::engine_begun);
  ++engines_started_;
  pass_on_handed();
  workers_.reconnect();
  return true;
}

internal::Welcome Supervisor::welcome() const {
  internal::Welcome welcome;
  welcome.set_version(channel_version);
  welcome.set_configuration_path(printable(configuration_.path));
  welcome.set_state_directory(claim_.places().state_directory);
  welcome.set_socket_path(claim_.places().socket);
  welcome.set_library_directory(options_.directories.plugins);
  welcome.set_supervisor_pid(::getpid());
  welcome.set_started_at_unix_ms(started_at_unix_ms_);
  welcome.set_engine_restarts(engines_started_);
  welcome.set_adopted(static_cast<std::uint32_t>(workers_.survivors()));
  welcome.set_handed(static_cast<std::uint32_t>(handed_.size()));
  welcome.set_upgrade_error(upgrade_error_);
  return welcome;
}

}  // namespace poold::supervisor
