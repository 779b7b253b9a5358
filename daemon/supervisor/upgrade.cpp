// The supervisor's part of an upgrade: what the engine hands over is kept until another engine serves, which
// is the program that is on the disk now; or, if that does not serve in time, once more the one before. What
// is handed over is passed on and not looked at.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "daemon/supervisor/supervisor.hpp"
#include "daemon/supervisor/text.hpp"

namespace poold::supervisor {

using boost::system::error_code;

namespace {

// Reading what a million tasks left takes seconds; an engine that takes longer than this is broken.
constexpr std::chrono::seconds upgrade_patience{10};

}  // namespace

void Supervisor::upgrade(bool asked_by_client) {
  const auto refuse = [&](const std::string& reason) {
    spdlog::warn("no upgrade: {}", reason);
    if (!asked_by_client) return;
    internal::ToEngine message;
    message.mutable_upgrade_refused()->set_reason(reason);
    engine_.send(message);
  };
  if (phase_ != Phase::running) return refuse("the daemon stops");
  if (upgrade_ != Upgrade::none) return refuse("there is one under way");
  if (engine_.state() != EngineChild::State::ready) return refuse("the engine is just starting");
  spdlog::info("upgrading: engine {} hands over", engine_.pid());
  upgrade_ = Upgrade::asked;
  upgrade_error_.clear();
  internal::ToEngine message;
  message.mutable_hand_over();
  engine_.send(message);
}

void Supervisor::on_handed(const internal::Handed& handed, std::vector<FileDescriptor> descriptors) {
  if (upgrade_ != Upgrade::asked) return ignored("something handed over unasked");
  if (handed.has_worker())
    workers_.lend(handed.worker().pool(), handed.worker().slot(), handed.worker().generation());
  handed_.push_back({handed, std::move(descriptors)});
}

void Supervisor::on_handed_over(std::vector<FileDescriptor> descriptors) {
  if (upgrade_ != Upgrade::asked || descriptors.size() != 1) return ignored("the end of a handover, unasked");
  handover_ = std::move(descriptors.front());
  upgrade_ = Upgrade::handed_over;
}

void Supervisor::on_handover_refused(const std::string& reason) {
  if (upgrade_ != Upgrade::asked) return;
  spdlog::warn("no upgrade: the engine cannot hand over: {}", reason);
  end_upgrade(reason);
}

void Supervisor::on_upgrade_engine_gone(bool was_ready) {
  upgrade_timer_.cancel();
  engine_delay_ = milliseconds{0};
  next_engine_at_ = std::chrono::steady_clock::now();
  if (phase_ != Phase::running) {
    end_upgrade("the daemon stops");
    workers_.kill_all();
    return advance();
  }
  switch (upgrade_) {
    case Upgrade::handed_over:
      upgrade_ = Upgrade::new_engine;
      break;
    case Upgrade::new_engine:
      upgrade_error_ = "the new engine ended before it served; the former one was started again";
      spdlog::error("the upgrade has failed: {}", upgrade_error_);
      upgrade_ = Upgrade::former_engine;
      break;
    case Upgrade::none:
    case Upgrade::asked:
    case Upgrade::former_engine:
      engine_delay_ = engine_delay(was_ready, engine_delay_);
      end_upgrade("neither the new engine nor the former one came to serve; what was in memory is lost");
      workers_.kill_mortal();
      break;
  }
  advance();
}

// Its engine has been started.
void Supervisor::pass_on_handed() {
  if (upgrade_ != Upgrade::new_engine && upgrade_ != Upgrade::former_engine) return;
  for (const HandedThing& thing : handed_) {
    internal::ToEngine message;
    *message.mutable_handed() = thing.what;
    std::vector<FileDescriptor> descriptors;
    for (const FileDescriptor& descriptor : thing.descriptors)
      descriptors.emplace_back(::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 0));
    engine_.send(message, std::move(descriptors));
  }
  upgrade_timer_.expires_after(upgrade_patience);
  upgrade_timer_.async_wait([this](const error_code& error) {
    if (!error) engine_.kill("it did not serve in time after an upgrade");
  });
}

// With its engine serving, or without: nothing is kept any longer.
void Supervisor::end_upgrade(const std::string& error) {
  if (upgrade_ == Upgrade::none) return;
  upgrade_timer_.cancel();
  if (!error.empty()) upgrade_error_ = error;
  if (error.empty() && upgrade_ == Upgrade::new_engine) spdlog::info("upgraded");
  upgrade_ = Upgrade::none;
  handed_.clear();
  handover_.reset();
  workers_.reclaim();
}

}  // namespace poold::supervisor
