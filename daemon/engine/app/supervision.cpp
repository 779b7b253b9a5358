// What the supervisor says, and what workers say: from their messages to the core's events.
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
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
// What a worker may say about why it cannot work.
constexpr std::size_t complaint_size_max = 4096;

// The part of it that is about processes and commands.
std::string process_identity(const settings::Pool& pool) {
  std::string identity = fmt::format("\2{} {} {}", pool.umask ? static_cast<int>(*pool.umask) : -1,
                                     pool.nice ? *pool.nice : 99, static_cast<int>(pool.output));
  for (const settings::ResourceLimit& limit : pool.limits)
    identity += fmt::format(" {}={}", limit.resource, limit.value);
  if (pool.account)
    identity +=
        fmt::format(" {}:{}:{}", pool.account->uid, pool.account->gid, fmt::join(pool.account->groups, ","));
  for (const std::string& program : pool.allow) identity += '\3' + program;
  return identity;
}

// The whole of what a pool's workers are told or run: when it changes, they are replaced.
std::string program_identity(const settings::Pool& pool) {
  std::string identity = pool.plugin + '\0' + pool.cwd + '\0' + std::to_string(pool.log_size) + '\0' +
                         std::to_string(pool.grace.count());
  for (const std::string& word : pool.program) identity += '\0' + word;
  if (pool.protocol == settings::WorkerProtocol::lines) identity += '\4';
  for (const auto& [name, value] : pool.env) identity += '\1' + name + '=' + value;
  return identity + process_identity(pool);
}

core::Rate core_rate(const settings::Rate& rate) { return {rate.count, rate.per, rate.burst}; }

}  // namespace

core::PoolSettings core_settings(const settings::Pool& pool) {
  core::PoolSettings settings;
  settings.name = pool.name;
  settings.workers = pool.workers;
  settings.workers_min = pool.workers_min;
  settings.spare = pool.spare;
  settings.idle_timeout = pool.idle_timeout;
  settings.service = {pool.recycle.tasks, pool.recycle.age, pool.recycle.memory, pool.recycle.spread};
  settings.queue_size = pool.queue_size;
  settings.crash_attempts = pool.crash_attempts;
  settings.tasks_per_worker = pool.max_tasks;
  settings.grace = pool.grace;
  settings.start_timeout = pool.start_timeout;
  settings.user_tasks_max = pool.user_tasks;
  settings.rate = core_rate(pool.rate);
  settings.ageing = pool.ageing;
  for (const auto& share : pool.shares) settings.shares.push_back({share.uid, share.weight});
  settings.durable = pool.durability == settings::Durability::disk;
  settings.ends_own_tasks = pool.kind == settings::PoolKind::command;
  settings.program = program_identity(pool);
  return settings;
}

namespace {

// The first directory on the way that the account cannot pass; empty if there is none.
std::string obstacle(const std::filesystem::path& target, const settings::Account& account) {
  for (std::filesystem::path path = target.parent_path(); path.has_relative_path();
       path = path.parent_path()) {
    struct stat status;
    if (::stat(path.c_str(), &status) < 0) return path;
    const auto& groups = account.groups;
    const bool member = std::find(groups.begin(), groups.end(), status.st_gid) != groups.end();
    const mode_t needed = status.st_uid == account.uid ? S_IXUSR : member ? S_IXGRP : S_IXOTH;
    if (!(status.st_mode & needed)) return path;
  }
  return {};
}

}  // namespace

// A pool's logs belong to whom its workers run as. Others may pass through the directories above, where a
// pool has a user of its own, and read nothing.
void make_log_directory(const std::string& state_directory, const settings::Pool& pool) {
  using std::filesystem::perms;
  const std::string logs = state_directory + "/logs", own = logs + "/" + pool.name;
  constexpr perms passage = perms::owner_all | perms::group_exec | perms::others_exec;
  std::error_code error;
  std::filesystem::create_directories(own, error);
  if (!error) std::filesystem::permissions(logs, passage, error);
  if (!error) std::filesystem::permissions(own, perms::owner_all, error);
  if (!error && pool.account) std::filesystem::permissions(state_directory, passage, error);
  const uid_t uid = pool.account ? pool.account->uid : ::geteuid();
  const gid_t gid = pool.account ? pool.account->gid : ::getegid();
  // Only root has pools of others, and takes them back when they are its own again.
  if (!error && ::geteuid() == 0 && ::chown(own.c_str(), uid, gid) < 0)
    error.assign(errno, std::generic_category());
  if (pool.account && pool.account->uid != 0)
    if (const std::string path = obstacle(own, *pool.account); !path.empty())
      spdlog::error("pool {}: its user {} cannot get to its logs: {} lets nobody through", pool.name,
                    pool.account->name, path);
  if (error) spdlog::error("cannot make {} for the logs of pool {}: {}", own, pool.name, error.message());
}

namespace {

bool is_on_disk(const settings::Pool& pool) { return pool.durability == settings::Durability::disk; }

spdlog::level::level_enum level_of(const std::string& name) {
  return spdlog::level::from_str(name == "warning" ? "warn" : name);
}

Members members(const settings::Members& from) { return {from.users, from.groups}; }

Access access_rules(const settings::Access& from, const std::string& socket_path) {
  Access access{members(from.read), members(from.submit), members(from.operate), members(from.admin), {}};
  struct stat status {};
  const bool group_may_connect = ::stat(socket_path.c_str(), &status) == 0 && (status.st_mode & S_IWGRP) != 0;
  if (group_may_connect) access.socket_group = status.st_gid;
  return access;
}

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
    case internal::ToEngine::MESSAGE_NOT_SET:
      return;
  }
}

// What an earlier engine's tasks wrote belongs to nobody if they lived in memory.
void Engine::drop_logs_of_memory_pools(const settings::Settings& settings) const {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(facts_.state_directory + "/logs", ignored)) {
    const std::string name = entry.path().filename();
    const bool kept = std::ranges::any_of(
        settings.pools, [&](const settings::Pool& pool) { return pool.name == name && is_on_disk(pool); });
    if (!kept) std::filesystem::remove_all(entry.path(), ignored);
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

bool Engine::read_settings(const FileDescriptor& text, settings::Settings& settings) const {
  const auto content = read_all(text.get(), settings::text_size_max);
  if (!content) return false;
  auto parsed = settings::parse(*content, facts_.configuration_path);
  if (auto* good = std::get_if<settings::Settings>(&parsed)) {
    settings = std::move(*good);
    return true;
  }
  for (const auto& error : std::get<settings::Errors>(parsed))
    spdlog::error("{}", settings::to_string(error));
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
  library_directory_ = welcome.library_directory();
  settings::Settings settings;
  if (listener_ || descriptors.size() != 2 || !read_settings(descriptors[0], settings) || !lock_store()) {
    spdlog::error("the engine cannot start");
    exit_code_ = 1;
    return loop_.stop();
  }
  drop_logs_of_memory_pools(settings);
  durable_ = std::ranges::any_of(settings.pools, is_on_disk);
  if (durable_ && !open_store()) {
    exit_code_ = 1;
    return loop_.stop();
  }
  settings_ = std::move(settings);
  inherited_socket_ = std::move(descriptors[1]);
  adopting_ = welcome.adopted();
  if (adopting_ == 0) serve();
}

// Everything that an earlier engine left has been announced. In one turn, so that nothing is scheduled before
// all of it is known.
void Engine::serve() {
  configure(std::move(settings_));
  for (auto& [started, descriptors] : std::exchange(inherited_workers_, {}))
    add_worker(started, std::move(descriptors));
  recover_tasks();
  pass(FailPoint::tasks_recovered);
  for (const auto& [worker, link] : links_) link->start();
  router_ = std::make_unique<Router>(*this);
  listener_ = std::make_unique<Listener>(*this, *router_, inherited_socket_.release(), connections_max_);
  listener_->start();
  pass(FailPoint::socket_served);
  internal::ToSupervisor ready;
  ready.mutable_ready()->set_version(channel_version);
  supervisor_.send(ready);
}

std::vector<std::string> Engine::configure(settings::Settings settings) {
  std::vector<std::string> changes;
  std::vector<core::PoolSettings> wanted;
  for (settings::Pool& pool : settings.pools) {
    const auto known = pools_.find(pool.name);
    const auto running = core_.state().pool_names.find(pool.name);
    const bool present =
        running != core_.state().pool_names.end() && !core_.state().pools[running->second].removed;
    if (!present) changes.push_back("pool " + pool.name + " added");
    if (present && pool.durability != known->second.durability) {
      changes.push_back("pool " + pool.name + ": its durability changes with the next start only");
      pool.durability = known->second.durability;
    }
    if (present && !(known->second == pool)) changes.push_back("pool " + pool.name + " changed");
    pools_[pool.name] = pool;
    wanted.push_back(core_settings(pool));
    make_log_directory(facts_.state_directory, pool);
  }
  keep_made_pools(settings, wanted);
  std::vector<bool> was_removed;
  for (const core::Pool& pool : core_.state().pools) was_removed.push_back(pool.removed);
  std::vector<core::LimitSettings> limits;
  for (const settings::TaskLimit& limit : settings.limits)
    limits.push_back({limit.name, limit.size, core_rate(limit.rate)});
  post(core::Configure{std::move(wanted), std::move(limits), settings.workers_max});
  const auto& pools = core_.state().pools;
  for (core::PoolIndex index = 0; index < pools.size(); ++index) {
    const settings::Retention& retention = pool_settings(index).retention;
    store_.set_limits(index, {.age = retention.age, .count = retention.count});
    if (index < was_removed.size() && !was_removed[index] && pools[index].removed)
      changes.push_back("pool " + pools[index].settings.name + " removed");
  }
  if (listener_) recover_tasks();  // of a pool that has come back
  spdlog::set_level(level_of(settings.log_level));
  access_ = access_rules(settings.access, facts_.socket_path);
  for (std::string& change : schedules_->configure(settings.schedules)) changes.push_back(std::move(change));
  settings_ = std::move(settings);
  return changes;
}

void Engine::on_reloaded(const internal::ReloadResult& result, std::vector<FileDescriptor> descriptors) {
  std::vector<std::string> lines(result.errors().begin(), result.errors().end());
  bool ok = result.ok();
  settings::Settings settings;
  if (ok && (descriptors.size() != 1 || !read_settings(descriptors[0], settings))) {
    ok = false;
    lines = {"the engine could not read the new configuration; the running one stays"};
  }
  if (ok && std::ranges::any_of(settings.pools, is_on_disk) && !durable_) {
    ok = durable_ = open_store();
    if (!ok) lines = {"the store cannot be opened, the log says why; the running configuration stays"};
  }
  if (ok) {
    lines = configure(std::move(settings));
    spdlog::info("configuration reloaded: {}",
                 lines.empty() ? "nothing changed" : fmt::format("{}", fmt::join(lines, ", ")));
  }
  const auto waiting = reloads_.find(result.request());
  if (waiting == reloads_.end()) return;
  const auto done = std::move(waiting->second);
  reloads_.erase(waiting);
  done(ok, std::move(lines));
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
  if (descriptors.size() < 2) return;  // it could not be reached, and its end will be reported
  descriptors.resize(3);
  const auto link = std::make_shared<WorkerLink>(loop_, worker, std::move(descriptors[0]),
                                                 std::move(descriptors[1]), descriptors[2], *this);
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
  const WorkerEnd end = slot.stop_reason == core::StopReason::its_fault ? WorkerEnd::condemned
                        : asked                                         ? WorkerEnd::asked
                        : exited.signaled()                             ? WorkerEnd::signaled
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

WorkerLink* Engine::find_link(const core::WorkerRef& worker) {
  const auto link = links_.find(worker);
  return link == links_.end() ? nullptr : link->second.get();
}

void Engine::on_worker_result(const core::WorkerRef& worker, const PlainResult& result) {
  pass(FailPoint::result_read);
  owe_acknowledgement(worker, result.task);
  core_.handle(core::WorkerResult{worker, result.task, result.attempt, result.kind, result.exit_code,
                                  spare_buffers_.hold(result.outcome)},
               now_, step_);
  store_ended();
  pass(FailPoint::result_handled);
  if (core_.state().pools[worker.pool].settings.service.memory > 0) look_at_memory(worker);
}

void Engine::look_at_memory(const core::WorkerRef& worker) {
  WorkerLink* link = find_link(worker);
  if (!link || !link->may_look_at_memory(now_.time_since_epoch())) return;
  const std::int32_t pid = core_.state().pools[worker.pool].slots[worker.slot].pid;
  std::ifstream file(fmt::format("/proc/{}/statm", pid));
  std::uint64_t size = 0, resident = 0;
  if (file >> size >> resident)
    post(core::WorkerMemory{worker, resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))});
}

void Engine::on_worker_frame(const core::WorkerRef& worker, const v1::FromWorker& frame) {
  switch (frame.frame_case()) {
    case v1::FromWorker::kResult: {
      const v1::WorkerResult& result = frame.result();
      const v1::Outcome& outcome = result.outcome();
      core::WorkerResult event;
      event.worker = worker;
      event.task = result.task();
      event.attempt = result.attempt();
      // A number beyond the enum is an outcome that no worker can know.
      if (v1::Outcome::Kind_IsValid(outcome.kind()))
        event.kind = static_cast<core::OutcomeKind>(outcome.kind());
      event.exit_code = outcome.exit_code();
      outcome.SerializeToString(&event.body);
      owe_acknowledgement(worker, event.task);
      core_.handle(std::move(event), now_, step_);
      store_ended();
      if (core_.state().pools[worker.pool].settings.service.memory > 0) look_at_memory(worker);
      return;
    }
    case v1::FromWorker::kHello:
      if (WorkerLink* link = find_link(worker)) {
        link->set_want_ids(frame.hello().want_ids());
        const std::string& complaint = frame.hello().error();
        if (complaint.size() <= complaint_size_max) link->set_complaint(complaint);
        if (!complaint.empty()) return;  // it is about to exit
      }
      if (frame.hello().again()) {
        post(core::WorkerSaidAgain{worker, {frame.hello().owed().begin(), frame.hello().owed().end()}});
        return pass(FailPoint::worker_said_again);
      }
      return post(core::WorkerHello{worker, frame.hello().one_at_a_time()});
    case v1::FromWorker::kStarted: {
      const core::Task* task = core_.find_live(frame.started().task());
      if (!task || !task->watched || task->slot != worker.slot || task->generation != worker.generation ||
          task->pool != worker.pool || task->attempt != frame.started().attempt())
        return;
      return tell_watchers(task->sequence(), [&](Watcher& watcher) { watcher.on_started(*task); });
    }
    case v1::FromWorker::kOutput: {
      post(core::WorkerOutput{worker, frame.output().task(), frame.output().attempt()});
      const core::Task* task = core_.find_live(frame.output().task());
      if (task && task->watched && task->has_log)
        tell_watchers(task->sequence(), [&](Watcher& watcher) { watcher.on_output(*task); });
      return;
    }
    case v1::FromWorker::kReturned:
      return post(
          core::WorkerReturned{worker, {frame.returned().tasks().begin(), frame.returned().tasks().end()}});
    case v1::FromWorker::kProgress:
      return;  // nobody can ask for it yet
    case v1::FromWorker::kBell:
      return;  // was for the link
    case v1::FromWorker::FRAME_NOT_SET:
      return post(core::WorkerBroken{worker, "it sent a frame that this version does not know", false});
  }
}

void Engine::on_worker_broken(const core::WorkerRef& worker, std::string reason, bool only_closed) {
  post(core::WorkerBroken{worker, std::move(reason), only_closed});
}

void Engine::on_task_too_long(const core::WorkerRef& worker, core::Sequence task, std::uint32_t attempt) {
  v1::Outcome outcome;
  outcome.set_kind(v1::Outcome::REJECTED);
  outcome.mutable_error()->set_type("FrameTooLong");
  outcome.mutable_error()->set_message("the task does not fit into a frame of 16777216 bytes");
  post(
      core::WorkerResult{worker, task, attempt, core::OutcomeKind::rejected, 0, outcome.SerializeAsString()});
}

}  // namespace poold::engine
