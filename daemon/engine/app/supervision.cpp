// What the supervisor says: from its messages to the core's events. (What workers say is in
// worker_reports.cpp.)
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "common/fail_point.hpp"
#include "daemon/engine/app/engine.hpp"
#include "daemon/engine/app/pool_setup.hpp"
#include "daemon/engine/control/pool_message.hpp"
#include "daemon/engine/control/task_message.hpp"
#include "daemon/journal/journal.hpp"

namespace poold::engine {
namespace {

constexpr std::uint32_t channel_version = 1;
constexpr std::uint32_t worker_version = 1;

}  // namespace

void Engine::on_supervisor_message(const internal::ToEngine& message,
                                   std::vector<FileDescriptor> descriptors) {
  now();
  switch (message.message_case()) {
    case internal::ToEngine::kWelcome:
      return on_welcome(message.welcome(), std::move(descriptors));
    case internal::ToEngine::kStarted:
      return on_started(message.started(), std::move(descriptors));
    case internal::ToEngine::kStartFailed:
      return on_start_failed(message.start_failed());
    case internal::ToEngine::kExited:
      return on_exited(message.exited(), std::move(descriptors));
    case internal::ToEngine::kReloaded:
      return on_reloaded(message.reloaded(), std::move(descriptors));
    case internal::ToEngine::kStop: {
      const auto timeout = std::chrono::milliseconds(message.stop().now() ? 0 : message.stop().timeout_ms());
      spdlog::info("stopping; running tasks have {} ms", timeout.count());
      return post(core::StopAll{timeout});
    }
    case internal::ToEngine::kPing: {
      internal::ToSupervisor pong;
      pong.mutable_pong()->set_number(message.ping().number());
      return supervisor_.send(pong);
    }
    case internal::ToEngine::kHandOver:
      // After this turn.
      return boost::asio::post(loop_, [this] { hand_over(); });
    case internal::ToEngine::kHanded:
      return on_handed(message.handed(), std::move(descriptors));
    case internal::ToEngine::kUpgradeRefused:
      for (const auto& done : std::exchange(upgrades_, {})) done(message.upgrade_refused().reason());
      return;
    case internal::ToEngine::MESSAGE_NOT_SET:
      return;
  }
}

bool Engine::lock_store() {
  const std::string path = facts_.state_directory + "/engine.lock";
  const int fd =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);  // held as long as the process lives
  struct flock lock {};
  lock.l_type = F_WRLCK;
  if (fd >= 0 && ::fcntl(fd, F_SETLK, &lock) == 0) return true;
  spdlog::error("cannot lock {}: {}", path, std::strerror(errno));
  return false;
}

void Engine::on_welcome(const internal::Welcome& welcome, std::vector<FileDescriptor> descriptors) {
  facts_.state_directory = welcome.state_directory();
  facts_.socket_path = welcome.socket_path();
  facts_.configuration_path = welcome.configuration_path();
  facts_.supervisor_pid = welcome.supervisor_pid();
  facts_.supervisor_started_unix_ms = welcome.started_at_unix_ms();
  facts_.engine_started_unix_ms = unix_ns(now()) / 1'000'000;
  facts_.engine_restarts = welcome.engine_restarts();
  facts_.upgrade_error = welcome.upgrade_error();
  library_directory_ = welcome.library_directory();
  settings::Settings settings;
  const bool complete = descriptors.size() == 2 || (descriptors.size() == 3 && read_handover(descriptors[2]));
  if (listener_ || !complete || !read_settings(descriptors[0], settings) || !lock_store()) {
    spdlog::error("the engine cannot start");
    exit_code_ = 1;
    return loop_.stop();
  }
  if (!inheritance_) drop_logs_of_memory_pools(settings);
  durable_ = std::ranges::any_of(settings.pools, is_on_disk);
  if (durable_ && !open_store()) {
    tell_health();
    exit_code_ = 1;
    return loop_.stop();
  }
  settings_ = std::move(settings);
  inherited_socket_ = std::move(descriptors[1]);
  adopting_ = welcome.adopted() + welcome.handed();
  if (adopting_ == 0) serve();
}

// Everything that an earlier engine left has been announced. In one turn, so that nothing is scheduled before
// all of it is known.
void Engine::serve() {
  configure(std::move(settings_));
  if (inheritance_) inherit_pools();
  for (auto& [started, descriptors] : std::exchange(inherited_workers_, {}))
    add_worker(started, std::move(descriptors));
  recover_tasks();
  pass(FailPoint::tasks_recovered);
  if (inheritance_) go_on_with_workers();
  for (const auto& [worker, link] : links_) link->start();
  router_ = std::make_unique<Router>(*this);
  listener_ = std::make_unique<Listener>(*this, *router_, inherited_socket_.release(), connections_max_);
  listener_->start();
  if (inheritance_) inherit_services();
  pass(FailPoint::socket_served);
  internal::ToSupervisor ready;
  ready.mutable_ready()->set_version(channel_version);
  supervisor_.send(ready);
}

void Engine::on_started(const internal::WorkerStarted& started, std::vector<FileDescriptor> descriptors) {
  if (listener_) return add_worker(started, std::move(descriptors));
  inherited_workers_.emplace_back(started, std::move(descriptors));
  if (adopting_ > 0 && --adopting_ == 0) serve();
}

// One of a pool that is not there any more finds its pipes closed, and ends.
void Engine::add_worker(const internal::WorkerStarted& started, std::vector<FileDescriptor> descriptors) {
  const auto pool = core_.state().pool_names.find(started.pool());
  if (pool == core_.state().pool_names.end()) return;
  const core::WorkerRef worker{pool->second, started.slot(), started.generation()};
  if (started.adopted()) {
    post(core::WorkerAdopted{worker, started.pid()});
    pass(FailPoint::worker_adopted);
  } else {
    post(core::WorkerStarted{worker, started.pid()});
  }
  if (started.handed()) return inherit_worker(started);
  if (descriptors.size() < 2) return;  // it could not be reached, and its end will be reported
  descriptors.resize(4);
  const auto link =
      std::make_shared<WorkerLink>(loop_, worker, std::move(descriptors[0]), std::move(descriptors[1]),
                                   std::move(descriptors[2]), std::move(descriptors[3]), *this);
  links_[worker] = link;
  ++measurements_.pool(worker.pool).worker_starts;
  send_welcome(*link);
  if (listener_) link->start();
}

void Engine::send_welcome(WorkerLink& link) {
  const settings::Pool& pool = pool_settings(link.worker().pool);
  v1::ToWorker frame;
  v1::WorkerWelcome& welcome = *frame.mutable_welcome();
  welcome.add_versions(worker_version);
  welcome.set_pool(pool.name);
  welcome.set_slot(link.worker().slot);
  welcome.set_generation(link.worker().generation);
  if (pool.output == settings::Output::keep) welcome.set_log_directory(log_directory(link.worker().pool));
  welcome.mutable_allow()->Assign(pool.allow.begin(), pool.allow.end());
  welcome.set_log_size(pool.log_size);
  welcome.set_keep_results(is_durable(link.worker().pool));
  welcome.mutable_grace()->set_seconds(pool.grace.count() / 1000);
  welcome.mutable_grace()->set_nanos(static_cast<int>(pool.grace.count() % 1000 * 1'000'000));
  link.send(frame);
}

void Engine::on_start_failed(const internal::WorkerStartFailed& failed) {
  const auto pool = core_.state().pool_names.find(failed.pool());
  if (pool == core_.state().pool_names.end()) return;
  ++measurements_.pool(pool->second).worker_start_failures;
  post(core::WorkerStartFailed{
      pool->second, failed.slot(), {failed.errno_value(), failed.path(), failed.message()}});
}

void Engine::on_exited(const internal::WorkerExited& exited, std::vector<FileDescriptor> file) {
  const auto pool = core_.state().pool_names.find(exited.pool());
  const bool orphan = !file.empty();
  if (pool == core_.state().pool_names.end()) {
    if (orphan) answer_orphan(exited, true);
    return;
  }
  const core::WorkerRef worker{pool->second, exited.slot(), exited.generation()};
  const auto& slots = core_.state().pools[worker.pool].slots;
  if (worker.slot >= slots.size() || slots[worker.slot].generation != worker.generation) {
    if (orphan) answer_orphan(exited, false);
    return;
  }
  if (orphan) hear_orphan(worker, file.front());
  std::string complaint;
  if (const auto link = links_.find(worker); link != links_.end()) {
    // What it wrote before it died counts.
    const auto kept = link->second;
    kept->drain_and_close();
    complaint = kept->complaint();
    links_.erase(worker);
  }
  const core::Slot& slot = core_.state().pools[worker.pool].slots[worker.slot];
  const bool expected =
      slot.state == core::WorkerState::retiring || slot.state == core::WorkerState::stopping;
  // One that closed its pipe is stopping, too, but nobody asked it to.
  const bool asked =
      slot.state == core::WorkerState::retiring || slot.stop_reason == core::StopReason::our_wish;
  const bool condemned = slot.stop_reason == core::StopReason::its_fault ||
                         slot.stop_reason == core::StopReason::its_task;
  const WorkerEnd end = condemned           ? WorkerEnd::condemned
                        : asked             ? WorkerEnd::asked
                        : exited.signaled() ? WorkerEnd::signaled
                                            : WorkerEnd::exited;
  ++measurements_.pool(worker.pool).worker_ends[static_cast<std::size_t>(end)];
  const LogFields about{
      {"POOLD_POOL", exited.pool()},
      {"POOLD_WORKER", fmt::format("{}/{}/{}", exited.pool(), exited.slot(), exited.generation())}};
  spdlog::log(expected ? spdlog::level::debug : spdlog::level::info,
              "worker {}/{} generation {} (pid {}) {} {}", exited.pool(), exited.slot(), exited.generation(),
              slot.pid, exited.signaled() ? "was killed by signal" : "exited with code", exited.code());
  post(core::WorkerExited{worker, exited.signaled(), exited.code(), std::move(complaint)});
  if (orphan) after_commit([this, exited] { answer_orphan(exited, false); });
}

}  // namespace poold::engine
