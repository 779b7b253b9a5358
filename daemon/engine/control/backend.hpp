// What the control plane asks of the engine. It sees the core's tables to read, gives events to change them,
// and is told of promises by token.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/core/core.hpp"
#include "daemon/engine/control/connect.hpp"
#include "daemon/engine/control/measurements.hpp"
#include "daemon/engine/control/rights.hpp"
#include "daemon/engine/io/byte_channel.hpp"
#include "daemon/engine/store/memory_store.hpp"
#include "poold/v1/daemon.pb.h"
#include "poold/v1/task.pb.h"

namespace poold::engine {

class LogWatch;
class MemoryLedger;
class ScheduleBook;

// Facts about this daemon that do not change while the engine lives.
struct DaemonFacts {
  std::string state_directory;
  std::string socket_path;
  std::string configuration_path;
  std::int32_t supervisor_pid = 0;
  std::int64_t supervisor_started_unix_ms = 0;
  std::int64_t engine_started_unix_ms = 0;
  std::uint32_t engine_restarts = 0;
  std::string upgrade_error;  // of the last upgrade
};

// Told of promises about tasks that were submitted with its token.
class Client {
 public:
  virtual ~Client() = default;
  virtual void on_accepted(const core::Accepted& accepted) = 0;
  virtual void on_refused(const core::Refused& refused) = 0;
  virtual void on_finished(const Record& record) = 0;
};

// Told of the ends of tasks that it watches, whoever submitted them.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void on_started(const core::Task&) {}
  // The running attempt's log exists.
  virtual void on_output(const core::Task&) {}
  // It will be repeated.
  virtual void on_attempt_ended(const core::Task&) {}
  virtual void on_ended(const Record& record) = 0;
};

// Waits for room in a full pool.
class RoomWaiter {
 public:
  virtual ~RoomWaiter() = default;
  // A task of this user would be accepted now, unless something else is wrong with it.
  virtual void on_room() = 0;
};

// One line of /v1/events.
struct StateChange {
  TaskId id;
  core::PoolIndex pool = 0;
  core::TaskState state = core::TaskState::queued;
  std::uint32_t attempt = 0;
  core::OutcomeKind outcome = core::OutcomeKind::unspecified;
};

// A pool that is not the configuration's own: made of one of its templates, or for one dedicated process.
struct MadePool {
  std::string name;
  std::string base;  // key of `templates` or `pools`
  bool of_template = false;
  bool process = false;
  std::uint32_t workers = 1;
  std::uint32_t uid = 0;
  bool temporary = false;
  std::uint64_t number = 0;  // given by make_pool(), never twice: a name may be used again
};
// Between the name of a pool and the number of one of its processes.
inline constexpr char process_mark = '#';

class Backend {
 public:
  virtual ~Backend() = default;

  virtual boost::asio::io_context& loop() = 0;
  virtual const core::State& state() const = 0;
  virtual const MemoryStore& store() const = 0;
  virtual SpareBuffers& spare_buffers() = 0;
  virtual const DaemonFacts& facts() const = 0;
  virtual const Access& access() const = 0;
  virtual LogWatch& log_watch() = 0;
  virtual ScheduleBook& schedules() = 0;
  // The turn's time, on the core's clock; and what wall clock time that is.
  virtual core::Time now() = 0;
  virtual std::int64_t unix_ns(core::Time time) const = 0;

  virtual core::ClientToken add_client(std::weak_ptr<Client> client) = 0;
  virtual void remove_client(core::ClientToken token) = 0;
  virtual TaskId next_task_id() = 0;
  // One above the highest sequence number given out.
  virtual core::Sequence sequence_end() const = 0;
  // Within the turn. Promises reach the client by its token.
  virtual void submit(core::Submit&& event) = 0;
  virtual void post(core::Event&& event) = 0;
  // Runs an ended task again; the store has it, and core::refusal_of_retry() has nothing against it.
  virtual void retry(core::Sequence task) = 0;
  // Forgets an ended task; is_over() says yes to it, and the store does not hold it for a waiter alone.
  virtual void prune(core::Sequence task) = 0;
  // From keep() to release() what is known of a task is not forgotten.
  virtual void keep(core::Sequence task) = 0;
  virtual void release(core::Sequence task) = 0;
  // The watcher is told until it is gone or the task has ended.
  virtual void watch(core::Sequence task, std::weak_ptr<Watcher> watcher) = 0;
  // At the end of the first turn in which the pool has room for a task of this user, once; in the order in
  // which they asked.
  virtual void wait_for_room(core::PoolIndex pool, std::uint32_t uid, std::weak_ptr<RoomWaiter> waiter) = 0;
  virtual void flush_at_end_of_turn(std::shared_ptr<Flushable> peer) = 0;

  // Called when what this turn has changed so far cannot be lost any more: at its end, or after the commit.
  virtual void after_commit(std::function<void()> then) = 0;
  // Why durable pools take nothing new; empty: they do.
  virtual const std::string& store_trouble() const = 0;
  virtual void add_event_listener(std::weak_ptr<std::function<void(const StateChange&)>> listener) = 0;
  // `done` gets the errors, or the changes, one sentence each.
  virtual void reload(std::function<void(bool ok, std::vector<std::string> lines)> done) = 0;
  // `done` is called right before another engine takes this one's place; with why not if it does not.
  virtual void upgrade(std::function<void(const std::string& refusal)> done) = 0;
  virtual void request_stop(bool now, std::optional<std::int64_t> timeout_ms) = 0;
  // How many workers a pool of this template may have; nothing: there is no such template.
  virtual std::optional<std::uint32_t> template_workers(const std::string& name) const = 0;
  // There is nothing of its name, or only what has gone.
  virtual core::PoolIndex make_pool(const MadePool& pool) = 0;
  // Takes no task any more, and goes when it has no task.
  virtual void remove_pool(core::PoolIndex pool) = 0;
  virtual const std::unordered_map<std::string, MadePool>& made_pools() const = 0;
  // Null: the configuration's own.
  virtual const MadePool* made_pool(core::PoolIndex pool) const = 0;
  virtual std::uint32_t processes_max(core::PoolIndex pool) const = 0;
  virtual void signal_worker(const core::WorkerRef& worker, int signal) = 0;
  // Kind of the pool: what work it takes.
  virtual std::uint32_t connections_max() const = 0;
  virtual std::uint32_t connections() const = 0;
  virtual const Measurements& measurements() const = 0;
  virtual bool runs_commands(core::PoolIndex pool) const = 0;
  // The only programs that a pool's commands may run; empty: any.
  virtual const std::vector<std::string>& allowed_programs(core::PoolIndex pool) const = 0;
  // Does a pool take payloads of this type? And which it takes, for people.
  virtual bool accepts(core::PoolIndex pool, std::string_view content_type) const = 0;
  // Do its workers get large payloads as sealed memory? And what users have of that.
  virtual bool shares_memory(core::PoolIndex pool) const = 0;
  virtual MemoryLedger& memory_ledger() = 0;
  virtual std::vector<std::string> accepted_types(core::PoolIndex pool) const = 0;
  virtual std::vector<std::string> program_of(core::PoolIndex pool) const = 0;
  // Where this attempt's output is, or will be.
  virtual std::string log_path(core::PoolIndex pool, const TaskId& id, std::uint32_t attempt) const = 0;
};

}  // namespace poold::engine
