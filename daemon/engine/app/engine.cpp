// The engine as the control plane sees it: tokens, watchers, the turn's beginning.
#include "daemon/engine/app/engine.hpp"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>

#include "common/attempt_log.hpp"
#include "common/fail_point.hpp"
#include "daemon/engine/control/task_message.hpp"
#include "daemon/settings/cpus.hpp"

namespace poold::engine {
namespace {

core::Time read_clock() { return core::Time(std::chrono::steady_clock::now().time_since_epoch()); }

// As many descriptors as allowed; what pools, pipes and logs may need is kept back for them.
std::uint32_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return 256;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  constexpr rlim_t clients_max = 16 * 1024;
  return static_cast<std::uint32_t>(std::min(clients_max, limit.rlim_cur / 2));
}

// A user's own share of the descriptors, and half of the machine's memory.
MemoryUse memory_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  constexpr rlim_t payloads_max = 4096;
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  const auto page_size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return {static_cast<std::uint32_t>(std::min(payloads_max, limit.rlim_max / 4)), pages / 2 * page_size};
}

}  // namespace

Engine::Engine(int channel)
    : memory_ledger_(std::make_shared<MemoryLedger>(memory_limit())),
      store_([this](const Record& record) { forget(record); }, spare_buffers_),
      log_watch_(loop_),
      supervisor_(
          loop_, channel,
          [this](const internal::ToEngine& message, std::vector<FileDescriptor> descriptors) {
            on_supervisor_message(message, std::move(descriptors));
          },
          [this] {
            // The supervisor is gone, and with it everything that could start or end a worker.
            spdlog::error("the supervisor is gone");
            exit_code_ = 1;
            loop_.stop();
          }),
      connections_max_(raise_descriptor_limit()),
      engine_number_(std::random_device{}() | std::uint64_t{std::random_device{}()} << 32),
      timer_(loop_),
      busy_poll_(loop_, settings::usable_cpus()) {
  schedules_ = std::make_shared<ScheduleBook>(*this, [this](StoredSchedule&& row) {
    now();
    if (durable_) batch_.emplace_back(std::move(row));
  });
  schedules_->start();
}

Engine::~Engine() = default;

int Engine::run() {
  supervisor_.start();
  loop_.run();
  // Whoever owns a channel is owned by its handlers: taken apart, so that what leaks otherwise is seen to
  // leak.
  if (listener_) listener_->close_all();
  for (const auto& [worker, link] : links_) link->close();
  return exit_code_;
}

core::Time Engine::now() {
  if (!in_turn_) {
    in_turn_ = true;
    busy_poll_.end();
    turn_unix_ms_ = 0;
    now_ = read_clock();
    // Behind everything that is ready already.
    boost::asio::post(loop_, [this] { end_turn(); });
  }
  return now_;
}

std::int64_t Engine::unix_ns(core::Time time) const {
  // One offset, so that a task's times never change; a new one only when the wall clock was set.
  constexpr std::int64_t clock_set_ns = 1'000'000'000;
  const auto wall = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const std::int64_t offset = (wall - read_clock().time_since_epoch()).count();
  if (std::abs(offset - wall_offset_ns_) > clock_set_ns) wall_offset_ns_ = offset;
  return time.time_since_epoch().count() + wall_offset_ns_;
}

core::ClientToken Engine::add_client(std::weak_ptr<Client> client) {
  std::uint32_t index;
  if (free_clients_.empty()) {
    index = static_cast<std::uint32_t>(clients_.size());
    clients_.emplace_back();
  } else {
    index = free_clients_.back();
    free_clients_.pop_back();
  }
  ClientEntry& entry = clients_[index];
  entry.client = std::move(client);
  ++entry.round;
  return core::ClientToken{entry.round} << 32 | index;
}

void Engine::remove_client(core::ClientToken token) {
  const auto index = static_cast<std::uint32_t>(token);
  if (token == 0 || index >= clients_.size() || clients_[index].round != token >> 32) return;
  clients_[index].client.reset();
  ++clients_[index].round;
  free_clients_.push_back(index);
}

std::shared_ptr<Client> Engine::find_client(core::ClientToken token) {
  const auto index = static_cast<std::uint32_t>(token);
  if (token == 0 || index >= clients_.size() || clients_[index].round != token >> 32) return nullptr;
  return clients_[index].client.lock();
}

TaskId Engine::next_task_id() {
  now();
  if (turn_unix_ms_ == 0) {
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    turn_unix_ms_ =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(wall).count());
  }
  return make_task_id(turn_unix_ms_, engine_number_, next_sequence_++);
}

void Engine::submit(core::Submit&& event) {
  pass(FailPoint::submission_read);
  core_.handle(std::move(event), now(), step_);
}

void Engine::post(core::Event&& event) {
  core_.handle(std::move(event), now(), step_);
  store_ended();
}

void Engine::retry(core::Sequence task) {
  Record record = store_.take(task);
  const TaskId id = record.task.id;
  const core::PoolIndex pool = record.task.pool;
  post(core::Retry{std::move(record.task)});
  publish({id, pool, core::TaskState::queued, 0, {}});
}

void Engine::store_ended() {
  for (; stored_ < step_.promises.size(); ++stored_)
    if (auto* finished = std::get_if<core::Finished>(&step_.promises[stored_])) {
      finished->task.unsaved = durable_ && is_durable(finished->task.pool);
      measurements_.task_ended(*finished);
      const std::uint64_t logs = log_bytes(finished->task);
      ended_.push_back(&store_.put(std::move(*finished), logs));
    }
}

void Engine::watch(core::Sequence task, std::weak_ptr<Watcher> watcher) {
  core::Task* found = core_.find_live(task);
  // One that has ended, but not for those outside yet.
  if (const Record* record = found ? nullptr : store_.find(task); record && record->task.unsaved)
    found = &store_.own(task).task;
  if (!found) return;
  found->watched = true;
  watchers_.emplace(task, std::move(watcher));
}

void Engine::wait_for_room(core::PoolIndex pool, std::uint32_t uid, std::weak_ptr<RoomWaiter> waiter) {
  room_waits_.push_back({pool, uid, std::move(waiter)});
}

void Engine::flush_at_end_of_turn(std::shared_ptr<Flushable> peer) {
  now();
  flushes_.push_back(std::move(peer));
}

void Engine::flush_at_end_of_turn(std::shared_ptr<WorkerLink> link) {
  now();
  link_flushes_.push_back(std::move(link));
}

void Engine::add_event_listener(std::weak_ptr<std::function<void(const StateChange&)>> listener) {
  std::erase_if(event_listeners_, [](const auto& known) { return known.expired(); });
  event_listeners_.push_back(std::move(listener));
}

void Engine::reload(std::function<void(bool, std::vector<std::string>)> done) {
  const std::uint64_t request = next_reload_++;
  reloads_.emplace(request, std::move(done));
  internal::ToSupervisor message;
  message.mutable_reload()->set_request(request);
  supervisor_.send(message);
}

void Engine::request_stop(bool now, std::optional<std::int64_t> timeout_ms) {
  internal::ToSupervisor message;
  // A time-out of zero is what `now` means.
  message.mutable_stop()->set_now(now || timeout_ms == 0);
  message.mutable_stop()->set_timeout_ms(timeout_ms.value_or(0));
  supervisor_.send(message);
}

const settings::Pool& Engine::pool_settings(core::PoolIndex pool) const {
  return pools_.at(core_.state().pools[pool].settings.name);
}

bool Engine::runs_commands(core::PoolIndex pool) const {
  return pool_settings(pool).kind == settings::PoolKind::command;
}

const std::vector<std::string>& Engine::allowed_programs(core::PoolIndex pool) const {
  return pool_settings(pool).allow;
}

bool Engine::accepts(core::PoolIndex pool, std::string_view content_type) const {
  const auto& accept = pool_settings(pool).accept;
  if (!accept) return content_type != settings::pickle_content_type;
  return std::ranges::find(*accept, content_type) != accept->end();
}

std::vector<std::string> Engine::accepted_types(core::PoolIndex pool) const {
  return pool_settings(pool).accept.value_or(std::vector<std::string>{});
}

std::vector<std::string> Engine::program_of(core::PoolIndex pool) const {
  const settings::Pool& settings = pool_settings(pool);
  if (!settings.program.empty()) return settings.program;
  if (settings.plugin.empty()) return {"poold-worker"};
  return {"poold-worker", "--plugin", settings.plugin};
}

std::string Engine::log_directory(core::PoolIndex pool) const {
  return facts_.state_directory + "/logs/" + core_.state().pools[pool].settings.name;
}

std::string Engine::log_path(core::PoolIndex pool, const TaskId& id, std::uint32_t attempt) const {
  return attempt_log_path(log_directory(pool), to_string(id), attempt);
}

}  // namespace poold::engine
