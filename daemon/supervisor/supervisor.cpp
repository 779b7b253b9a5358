#include "daemon/supervisor/supervisor.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "common/fail_point.hpp"
#include "common/invariant.hpp"
#include "daemon/supervisor/log.hpp"
#include "daemon/supervisor/text.hpp"

namespace poold::supervisor {

using Clock = std::chrono::steady_clock;
using boost::system::error_code;

namespace {

constexpr int signal_max = 64;

std::int64_t now_unix_ms() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Three descriptors a worker: the usual soft limit of 1,024 would end at some 300 of them.
rlimit raise_open_files() {
  rlimit inherited{};
  ::getrlimit(RLIMIT_NOFILE, &inherited);
  rlimit raised = inherited;
  raised.rlim_cur = raised.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &raised);
  return inherited;
}

const settings::Pool* find_named(const std::vector<settings::Pool>& pools, const std::string& name) {
  const auto found = std::find_if(pools.begin(), pools.end(), [&](const auto& p) { return p.name == name; });
  return found == pools.end() ? nullptr : &*found;
}

// Letters, digits and what else a pool's name, or that of one of its processes, is made of.
bool made_name_valid(const std::string& name) {
  constexpr std::size_t size_max = 80;
  return !name.empty() && name.size() <= size_max &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-#") ==
             name.npos;
}

// What to start for a pool: what the configuration says, whatever the engine calls it.
std::optional<settings::Pool> find_pool(const settings::Settings& settings,
                                        const internal::StartWorker& request) {
  const settings::Pool* own = find_named(settings.pools, request.pool());
  if (request.base().empty()) return own ? std::optional(*own) : std::nullopt;
  const settings::Pool* base =
      find_named(request.of_template() ? settings.templates : settings.pools, request.base());
  if (own || !base || !made_name_valid(request.pool())) return std::nullopt;
  settings::Pool made = *base;
  made.name = request.pool();
  made.durability = settings::Durability::memory;
  return made;
}

internal::ToEngine stop_message(bool now, milliseconds timeout) {
  internal::ToEngine message;
  message.mutable_stop()->set_now(now);
  message.mutable_stop()->set_timeout_ms(timeout.count());
  return message;
}

}  // namespace

Supervisor::Supervisor(SupervisorOptions options, Configuration configuration, Claim claim,
                       ServiceManager manager)
    : options_(std::move(options)),
      configuration_(std::move(configuration)),
      claim_(std::move(claim)),
      manager_(std::move(manager)),
      open_files_(raise_open_files()),
      io_(1),
      signals_(io_),
      lifeline_(io_),
      engine_timer_(io_),
      stop_timer_(io_),
      engine_(io_, own_,
              {[this](const internal::ToSupervisor& message, std::vector<FileDescriptor> descriptors) {
                 on_message(message, std::move(descriptors));
               },
               [this] { on_engine_answered(); }, [this] { on_engine_dead(); },
               [this](bool was_ready) { on_engine_gone(was_ready); }},
              engine_times(manager_.watchdog())),
      workers_(
          io_, own_,
          {options_.directories, environ, open_files_, claim_.places().socket,
           claim_.places().state_directory + "/workers"},
          [this](const internal::ToEngine& message, std::vector<FileDescriptor> descriptors) {
            engine_.send(message, std::move(descriptors));
          },
          [this] { on_workers_gone(); }),
      started_at_unix_ms_(now_unix_ms()),
      upgrade_timer_(io_) {
  // What a dead worker leaves behind comes to us, so that it can be killed.
  invariant(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "every kernel with pidfds has subreapers");
  std::signal(SIGPIPE, SIG_IGN);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD}) signals_.add(number);
}

int Supervisor::run() {
  apply_log_level();
  wait_for_signal();
  if (options_.lifeline != no_lifeline) {
    lifeline_.assign(options_.lifeline);
    watch_lifeline();
  }
  workers_.adopt();
  // An installation without an engine is better said at once than retried.
  if (!start_engine()) return 1;
  io_.run();
  invariant(phase_ == Phase::finished && own_.empty(), "the loop ends when nothing is left");
  claim_.socket().remove();
  spdlog::info("stopped");
  return exit_code_;
}

// --- What happens ---

void Supervisor::wait_for_signal() {
  signals_.async_wait([this](const error_code& error, int number) {
    if (error) return;
    wait_for_signal();
    on_signal(number);
  });
}

void Supervisor::watch_lifeline() {
  lifeline_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const error_code& error) {
    if (error) return;
    std::array<char, 64> bytes;  // which have no meaning
    error_code read_error;
    lifeline_.read_some(boost::asio::buffer(bytes), read_error);
    if (!read_error) return watch_lifeline();
    lifeline_ended_ = true;
    end_everything("the program that it is for has ended");
  });
}

void Supervisor::on_signal(int number) {
  switch (number) {
    case SIGCHLD:
      return reap_strangers(own_);
    case SIGHUP:
      return reload(0);
    case SIGUSR2:
      return upgrade(false);
    default:
      if (phase_ == Phase::running) return stop(false, 0);
      return end_everything("a second request to stop");
  }
}

void Supervisor::on_message(const internal::ToSupervisor& message, std::vector<FileDescriptor> descriptors) {
  using internal::ToSupervisor;
  switch (message.message_case()) {
    case ToSupervisor::kReady:
      return on_engine_ready(message.ready());
    case ToSupervisor::kStart:
      return on_start_worker(message.start());
    case ToSupervisor::kSignal:
      return on_signal_worker(message.signal());
    case ToSupervisor::kReload:
      return reload(message.reload().request());
    case ToSupervisor::kStop:
      return stop(message.stop().now(), message.stop().timeout_ms());
    case ToSupervisor::kStopped:
      engine_said_stopped_ = true;
      return;
    case ToSupervisor::kLastWordsTaken: {
      // As for a start, which may follow from it. The file stays, and is read again.
      if (engine_.state() == EngineChild::State::ending || phase_ == Phase::ending) return;
      const internal::LastWordsTaken& taken = message.last_words_taken();
      return workers_.last_words_taken(taken.pool(), taken.slot(), taken.generation(), taken.keep_file());
    }
    case ToSupervisor::kHealth:
      degraded_ = printable(message.health().degraded());
      if (phase_ == Phase::running && engine_.state() == EngineChild::State::ready && !manager_waits_)
        manager_.status(status());
      return;
    case ToSupervisor::kPong:
      return;  // engine_child has taken it
    case ToSupervisor::kUpgrade:
      return upgrade(true);
    case ToSupervisor::kHanded:
      return on_handed(message.handed(), std::move(descriptors));
    case ToSupervisor::kHandedOver:
      return on_handed_over(std::move(descriptors));
    case ToSupervisor::kHandoverRefused:
      return on_handover_refused(printable(message.handover_refused().reason()));
    case ToSupervisor::MESSAGE_NOT_SET:
      return ignored("a message that this version does not know");
  }
}

void Supervisor::on_engine_ready(const internal::EngineReady& message) {
  if (message.version() != channel_version)
    spdlog::warn("the engine speaks version {} of the channel, the supervisor {}", message.version(),
                 channel_version);
  engine_.mark_ready();
  program_ = std::move(starting_program_);
  end_upgrade({});
  engine_delay_ = milliseconds{0};
  if (phase_ == Phase::running)
    spdlog::info("ready: socket {}, state directory {}", claim_.places().socket,
                 claim_.places().state_directory);
  // Its loop turns once it answers; then the service manager is told.
  engine_.ask();
}

void Supervisor::on_engine_answered() {
  if (phase_ != Phase::running || engine_.state() != EngineChild::State::ready) return;
  manager_.alive();
  if (std::exchange(manager_waits_, false))
    manager_.ready(status());
  else
    manager_.status(status());
}

void Supervisor::on_start_worker(const internal::StartWorker& request) {
  const std::optional<settings::Pool> pool = find_pool(configuration_.settings, request);
  // Once it is dead, its workers are too; while everything ends, none is started.
  if (engine_.state() == EngineChild::State::ending || phase_ == Phase::ending) return;
  if (!pool) return ignored("a start in the unknown pool " + printable(request.pool(), 255));
  if (request.slot() >= slots_max) return ignored("a start in slot " + std::to_string(request.slot()));
  if (!workers_.start(*pool, request.slot()))
    ignored("a start in " + pool->name + "/" + std::to_string(request.slot()) + ", which is not vacant");
}

void Supervisor::on_signal_worker(const internal::SignalWorker& request) {
  if (request.signal() < 1 || request.signal() > signal_max)
    return ignored("a signal " + std::to_string(request.signal()));
  // A generation that is gone is no fault: its end may have crossed the request.
  workers_.signal(request.pool(), request.slot(), request.generation(), request.signal());
}

void Supervisor::on_engine_dead() {
  // It said some of it, and died before it had said all.
  if (upgrade_ == Upgrade::asked) end_upgrade("the engine died while it was handing over");
  // Pools in memory went with it: what their workers still do is nobody's any more. Those of disk pools go
  // on, and the next engine takes them over.
  if (phase_ == Phase::running)
    workers_.kill_mortal();
  else
    workers_.kill_all();
}

void Supervisor::on_engine_gone(bool was_ready) {
  pass(FailPoint::engine_death_seen);
  if (phase_ == Phase::stopping) {
    if (!engine_said_stopped_) spdlog::warn("the engine ended without saying that it has stopped");
    set_phase(Phase::ending);
  }
  // What one that never served had to say is why; the next one says what it finds.
  const std::string refusal = std::exchange(degraded_, {});
  if (upgrade_ != Upgrade::none) return on_upgrade_engine_gone(was_ready);
  ever_ready_ = ever_ready_ || was_ready;
  engine_delay_ = engine_delay(was_ready, engine_delay_);
  next_engine_at_ = Clock::now() + engine_delay_;
  // Told at once to whoever starts the daemon. Later it would end what goes on, such as an orphan's task.
  if (phase_ == Phase::running && !refusal.empty() && !ever_ready_ && workers_.survivors() == 0) {
    spdlog::error("refused to start: {}", refusal);
    exit_code_ = 1;
    return end_everything("the store cannot be used");
  }
  if (phase_ == Phase::running)
    manager_.status("No engine: the last one has died, the next one starts" +
                    (refusal.empty() ? "" : ". " + refusal));
  advance();
}

void Supervisor::on_workers_gone() { advance(); }

// --- What follows ---

void Supervisor::set_phase(Phase phase) {
  invariant(phase_ <= phase, "no phase comes back");
  phase_ = phase;
}

// A new engine, or the end, waits until nothing of the old engine's is left that is to end with it.
void Supervisor::advance() {
  if (engine_.state() != EngineChild::State::absent || !workers_.no_mortal()) return;
  if (phase_ != Phase::running && !workers_.empty()) return;
  switch (phase_) {
    case Phase::running:
      return plan_engine();
    case Phase::stopping:
      return;  // only while its engine lives
    case Phase::ending:
      set_phase(Phase::finished);
      return io_.stop();
    case Phase::finished:
      return;
  }
}

void Supervisor::stop(bool now, std::int64_t timeout_ms) {
  if (phase_ == Phase::ending || phase_ == Phase::finished) return;
  // Nobody's task runs without a ready engine.
  if (engine_.state() != EngineChild::State::ready) return end_everything("stopping");
  const milliseconds timeout = stop_timeout(now, timeout_ms, configuration_.settings.stop_timeout);
  const Clock::time_point limit_at = Clock::now() + stop_limit(timeout, configuration_.settings);
  // A later request can only shorten the wait.
  if (phase_ == Phase::stopping && limit_at >= stop_limit_at_) return;
  spdlog::info("stopping: running tasks have {} ms", timeout.count());
  set_phase(Phase::stopping);
  manager_.stopping("Stopping: running tasks have " + std::to_string(timeout.count()) + " ms",
                    stop_limit(timeout, configuration_.settings));
  engine_.send(stop_message(now, timeout));
  stop_limit_at_ = limit_at;
  stop_timer_.expires_at(limit_at);
  stop_timer_.async_wait([this](const error_code& error) {
    if (!error) end_everything("the engine has not stopped in time");
  });
}

void Supervisor::end_everything(const char* reason) {
  if (phase_ == Phase::ending || phase_ == Phase::finished) return;
  spdlog::info("ending all processes: {}", reason);
  set_phase(Phase::ending);
  manager_.stopping(std::string("Ending all processes: ") + reason, stop_margin);
  stop_timer_.cancel();
  engine_timer_.cancel();
  upgrade_timer_.cancel();
  engine_.kill(reason);
  workers_.kill_all();
  advance();
}

void Supervisor::ignored(const std::string& what) {
  // A broken engine may send many: those at powers of two are enough to see it.
  if (std::has_single_bit(++ignored_))
    spdlog::warn("ignored from the engine: {} ({} such so far)", what, ignored_);
}

void Supervisor::apply_log_level() {
  set_log_level(options_.log_level.empty() ? configuration_.settings.log_level : options_.log_level);
}

std::string Supervisor::status() const {
  const auto count = [](std::size_t number, const char* what) {
    return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
  };
  std::string text =
      "Serving on " + claim_.places().socket + ": " + count(configuration_.settings.pools.size(), "pool");
  if (engines_started_ > 1) text += ", engine replaced " + count(engines_started_ - 1, "time");
  // First, because the line is cut where it is long.
  if (!degraded_.empty()) text = "Degraded, disk pools take nothing new: " + degraded_ + ". " + text;
  if (!reload_error_.empty()) text += "; the last reload was refused: " + reload_error_;
  return text;
}

std::variant<std::monostate, Refusal> check_kernel() {
  const FileDescriptor children(::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC));
  if (children.valid()) return std::monostate{};
  return Refusal{std::string("/proc/thread-self/children: ") + std::strerror(errno) +
                 ": without it, what a dead worker leaves behind cannot be found"};
}

}  // namespace poold::supervisor
