// The supervisor: what happens when something happens. Each event is one function here; what has to be done
// is done by engine_child, worker_table, claim and configuration, which know nothing of each other.
//
// It never reads a client's or a worker's bytes, and takes from an engine only which slot to fill or to
// signal.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/supervisor/claim.hpp"
#include "daemon/supervisor/configuration.hpp"
#include "daemon/supervisor/decisions.hpp"
#include "daemon/supervisor/engine_child.hpp"
#include "daemon/supervisor/service_manager.hpp"
#include "daemon/supervisor/worker_table.hpp"

namespace poold::supervisor {

inline constexpr int no_lifeline = -1;

struct SupervisorOptions {
  PlaceOptions places;
  std::string log_level;  // empty: the configuration's
  ProgramDirectories directories;
  int lifeline = no_lifeline;  // whose end of file is the end of the program that this daemon is for
};

// An engine's place is taken by another one, on purpose.
enum class Upgrade {
  none,
  asked,         // the engine is to hand over
  handed_over,   // it has, and ends
  new_engine,    // the program that is on the disk now has been started
  former_engine  // that did not serve in time: the program of the one before has been started again
};

// running -> stopping -> ending -> finished; each step can be passed over, none is taken back.
enum class Phase {
  running,   // engines are replaced when they die
  stopping,  // the engine was told to stop, and has until the limit
  ending,    // everything that lives is being killed
  finished,  // nothing is left
};

class Supervisor {
 public:
  Supervisor(SupervisorOptions options, Configuration configuration, Claim claim, ServiceManager manager);

  // Until it was stopped. The exit code.
  int run();
  // That is what it ended for.
  bool lifeline_ended() const { return lifeline_ended_; }

 private:
  // What happens.
  void on_signal(int number);
  void on_message(const internal::ToSupervisor& message, std::vector<FileDescriptor> descriptors);
  void on_start_worker(const internal::StartWorker& request);
  void on_signal_worker(const internal::SignalWorker& request);
  void on_engine_ready(const internal::EngineReady& message);
  void on_engine_answered();
  void on_engine_dead();
  void on_engine_gone(bool was_ready);
  void on_workers_gone();

  // upgrade.cpp
  void upgrade(bool asked_by_client);
  void on_handed(const internal::Handed& handed, std::vector<FileDescriptor> descriptors);
  void on_handed_over(std::vector<FileDescriptor> descriptors);
  void on_handover_refused(const std::string& reason);
  void on_upgrade_engine_gone(bool was_ready);
  void pass_on_handed();
  void end_upgrade(const std::string& error);

  // What follows.
  void set_phase(Phase phase);
  void advance();
  bool start_engine();
  void plan_engine();
  internal::Welcome welcome() const;
  void reload(std::uint64_t request);
  std::optional<ConfigurationErrors> adopt(const std::string& path);
  void stop(bool now, std::int64_t timeout_ms);
  void end_everything(const char* reason);
  void ignored(const std::string& what);

  void wait_for_signal();
  void watch_lifeline();
  void apply_log_level();
  std::string status() const;

  SupervisorOptions options_;
  Configuration configuration_;
  Claim claim_;
  ServiceManager manager_;
  // The service manager waits for READY: at the start, and while a reload goes on.
  bool manager_waits_ = true;
  std::string degraded_;     // why the engine's store refuses; empty: it does not
  bool ever_ready_ = false;  // an engine was
  int exit_code_ = 0;
  std::string reload_error_;  // of the last reload, if it was refused
  OwnChildren own_;
  rlimit open_files_;  // as inherited; children get it back
  boost::asio::io_context io_;
  boost::asio::signal_set signals_;
  boost::asio::posix::stream_descriptor lifeline_;
  bool lifeline_ended_ = false;
  boost::asio::steady_timer engine_timer_;  // until the next engine
  boost::asio::steady_timer stop_timer_;    // until the stop's limit
  EngineChild engine_;
  WorkerTable workers_;
  Phase phase_ = Phase::running;
  std::int64_t started_at_unix_ms_;
  std::uint32_t engines_started_ = 0;
  milliseconds engine_delay_{0};
  std::chrono::steady_clock::time_point next_engine_at_;
  std::chrono::steady_clock::time_point stop_limit_at_;
  bool engine_said_stopped_ = false;
  Upgrade upgrade_ = Upgrade::none;
  std::string upgrade_error_;                // of the last one
  boost::asio::steady_timer upgrade_timer_;  // until the next engine has to serve
  struct HandedThing {
    internal::Handed what;
    std::vector<FileDescriptor> descriptors;
  };
  std::vector<HandedThing> handed_;  // kept until an engine serves
  FileDescriptor handover_;          // everything else that it handed over
  FileDescriptor program_;           // of the last engine that served ...
  FileDescriptor starting_program_;  // ... and of the one that was started last
  std::uint64_t ignored_ = 0;        // messages of engines that were not acted on
};

// Refuses where the supervisor could not keep its promises: no /proc with children lists.
std::variant<std::monostate, Refusal> check_kernel();

}  // namespace poold::supervisor
