// The engine: one loop that turns what happens into events for the core, and the core's effects into what is
// done.
//
// A turn begins with the first thing that is read and ends after everything else that was ready: schedule
// once, perform, write once a peer. Only this class knows all the others.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "daemon/core/core.hpp"
#include "daemon/engine/control/backend.hpp"
#include "daemon/engine/control/listener.hpp"
#include "daemon/engine/control/log_watch.hpp"
#include "daemon/engine/control/router.hpp"
#include "daemon/engine/control/schedule_book.hpp"
#include "daemon/engine/io/busy_poll.hpp"
#include "daemon/engine/store/memory_store.hpp"
#include "daemon/engine/store/store_writer.hpp"
#include "daemon/engine/store/task_memory.hpp"
#include "daemon/engine/workers/supervisor_link.hpp"
#include "daemon/engine/workers/worker_link.hpp"
#include "daemon/settings/settings.hpp"
#include "poold/internal/handover.pb.h"

namespace poold::engine {

struct WallClock;

class Engine : public Backend, public WorkerLink::Owner {
 public:
  // `channel` is the socket to the supervisor, which says the rest.
  explicit Engine(int channel);
  ~Engine() override;
  // Until the daemon stops or the supervisor is gone; the process's exit code.
  int run();

  // Backend.
  boost::asio::io_context& loop() override { return loop_; }
  const core::State& state() const override { return core_.state(); }
  const MemoryStore& store() const override { return store_; }
  SpareBuffers& spare_buffers() override { return spare_buffers_; }
  const DaemonFacts& facts() const override { return facts_; }
  const Access& access() const override { return access_; }
  LogWatch& log_watch() override { return log_watch_; }
  ScheduleBook& schedules() override { return *schedules_; }
  core::Time now() override;
  std::int64_t unix_ns(core::Time time) const override;
  core::ClientToken add_client(std::weak_ptr<Client> client) override;
  void remove_client(core::ClientToken token) override;
  TaskId next_task_id() override;
  core::Sequence sequence_end() const override { return next_sequence_; }
  void submit(core::Submit&& event) override;
  void post(core::Event&& event) override;
  void retry(core::Sequence task) override;
  void prune(core::Sequence task) override { store_.drop(task); }
  void keep(core::Sequence task) override { store_.keep(task); }
  void release(core::Sequence task) override { store_.release(task); }
  void watch(core::Sequence task, std::weak_ptr<Watcher> watcher) override;
  void wait_for_room(core::PoolIndex pool, std::uint32_t uid, std::weak_ptr<RoomWaiter> waiter) override;
  void flush_at_end_of_turn(std::shared_ptr<Flushable> peer) override;
  void after_commit(std::function<void()> then) override;
  const std::string& store_trouble() const override { return store_trouble_; }
  void add_event_listener(std::weak_ptr<std::function<void(const StateChange&)>> listener) override;
  void reload(std::function<void(bool, std::vector<std::string>)> done) override;
  void upgrade(std::function<void(const std::string& refusal)> done) override;
  void request_stop(bool now, std::optional<std::int64_t> timeout_ms) override;
  std::optional<std::uint32_t> template_workers(const std::string& name) const override;
  core::PoolIndex make_pool(const MadePool& pool) override;
  void remove_pool(core::PoolIndex pool) override { post(core::RemovePool{pool}); }
  const std::unordered_map<std::string, MadePool>& made_pools() const override { return made_pools_; }
  const MadePool* made_pool(core::PoolIndex pool) const override;
  std::uint32_t processes_max(core::PoolIndex pool) const override { return pool_settings(pool).processes; }
  void signal_worker(const core::WorkerRef& worker, int signal) override;
  std::uint32_t connections_max() const override { return connections_max_; }
  std::uint32_t connections() const override { return listener_ ? listener_->connections() : 0; }
  const Measurements& measurements() const override { return measurements_; }
  bool runs_commands(core::PoolIndex pool) const override;
  const std::vector<std::string>& allowed_programs(core::PoolIndex pool) const override;
  bool accepts(core::PoolIndex pool, std::string_view content_type) const override;
  bool shares_memory(core::PoolIndex pool) const override { return pool_settings(pool).shared_memory; }
  MemoryLedger& memory_ledger() override { return *memory_ledger_; }
  std::vector<std::string> accepted_types(core::PoolIndex pool) const override;
  std::vector<std::string> program_of(core::PoolIndex pool) const override;
  std::string log_path(core::PoolIndex pool, const TaskId& id, std::uint32_t attempt) const override;

  // WorkerLink::Owner.
  void on_worker_turn() override { now(); }
  void on_worker_frame(const core::WorkerRef& worker, const v1::FromWorker& frame) override;
  void on_worker_result(const core::WorkerRef& worker, const PlainResult& result) override;
  void on_worker_broken(const core::WorkerRef& worker, std::string reason, bool only_closed) override;
  void on_task_too_long(const core::WorkerRef& worker, core::Sequence task, std::uint32_t attempt) override;
  void flush_at_end_of_turn(std::shared_ptr<WorkerLink> link) override;

 private:
  // supervision.cpp, configuration.cpp, worker_reports.cpp: what the supervisor and workers say.
  void on_supervisor_message(const internal::ToEngine& message, std::vector<FileDescriptor> descriptors);
  void on_welcome(const internal::Welcome& welcome, std::vector<FileDescriptor> descriptors);
  void on_started(const internal::WorkerStarted& started, std::vector<FileDescriptor> descriptors);
  void add_worker(const internal::WorkerStarted& started, std::vector<FileDescriptor> descriptors);
  void on_start_failed(const internal::WorkerStartFailed& failed);
  void on_exited(const internal::WorkerExited& exited, std::vector<FileDescriptor> file);
  // orphans.cpp: workers that outlived their supervisor.
  void hear_orphan(const core::WorkerRef& worker, const FileDescriptor& file);
  void answer_orphan(const internal::WorkerExited& exited, bool keep_file);
  void cancel_orphan(const core::WorkerRef& worker);
  void on_reloaded(const internal::ReloadResult& result, std::vector<FileDescriptor> descriptors);
  void serve();
  bool lock_store();
  void drop_logs_of_memory_pools(const settings::Settings& settings) const;
  // False if the text is not what the supervisor made of it.
  bool read_settings(const FileDescriptor& text, settings::Settings& settings) const;
  std::vector<std::string> configure(settings::Settings settings);
  // made_pools.cpp: pools beside those of the configuration.
  std::optional<settings::Pool> settings_of(const settings::Settings& settings, const MadePool& made) const;
  void keep_made_pools(const settings::Settings& settings, std::vector<core::PoolSettings>& wanted);
  // The only task of a dedicated process will never start.
  void give_up_process(core::PoolIndex pool);
  WorkerLink* find_link(const core::WorkerRef& worker);
  // shared_memory.cpp
  void dispatch_with_memory(WorkerLink& link, const core::Task& task,
                            const std::shared_ptr<SharedPayload>& argument, const OutgoingTask& outgoing);
  // The result's memory becomes the task's. What is wrong with it is the outcome in its place.
  void take_result_memory(const core::WorkerRef& worker, const v1::WorkerResult& result,
                          core::WorkerResult& event);
  // The task has ended: what it does not need any more is closed.
  void settle_memory(const Record& record);
  // After a result, where the pool replaces workers by their memory.
  void look_at_memory(const core::WorkerRef& worker);
  void send_welcome(WorkerLink& link);

  // Takes what just ended out of the step and into the store, so that nobody who looks within this turn
  // misses it.
  void store_ended();

  // durability.cpp: what waits for a commit, and what an earlier engine left.
  using Acknowledgements = std::map<core::WorkerRef, std::vector<core::Sequence>>;
  struct Withheld {
    std::uint64_t batch = 0;
    std::vector<core::Promise> promises;
    std::vector<const Record*> ended;  // in the order of the Finished among them
    std::vector<core::Effect> effects;
    std::vector<std::function<void()>> callbacks;
    std::vector<Acknowledgements> acknowledgements;
  };
  // The worker may forget this result once what follows from it is on the disk.
  void owe_acknowledgement(const core::WorkerRef& worker, core::Sequence task) {
    if (durable_ && is_durable(worker.pool)) acknowledgements_[worker].push_back(task);
  }
  void acknowledge(const Acknowledgements& acknowledgements);
  bool open_store();
  void recover_tasks();
  void recover_ended(StoredTask&& stored, core::PoolIndex pool, const WallClock& clock);
  void recover_live(StoredTask&& stored, core::PoolIndex pool, const WallClock& clock);
  bool is_durable(core::PoolIndex pool) const;
  std::uint64_t digest_of(const core::Task& task) const;
  void add_rows(core::Task& task, const WallClock& clock);
  void withhold();
  void take_durable_promises(Withheld& held);
  bool waits_for_commit(const core::Effect& effect);
  void on_committed(std::uint64_t batches);
  void on_store_troubled(const StoreError& error);
  void on_store_healed();
  void tell_health();
  void forget_unaccepted(const std::vector<const Record*>& ended);

  // handover.cpp: another engine takes this one's place.
  void hand_over();
  std::string settle_for_handover();
  void refuse_handover(const std::string& reason);
  bool is_temporary(core::PoolIndex pool) const;
  bool is_handed_over(core::PoolIndex pool) const;
  std::string pack_handover(const std::vector<internal::HandoverWorker>& workers);
  std::vector<internal::HandoverWorker> hand_over_workers();
  void hand_over_memory(const core::Task& task);
  // inheritance.cpp: this one takes another's.
  bool read_handover(const FileDescriptor& memory);
  void on_handed(const internal::Handed& handed, std::vector<FileDescriptor> descriptors);
  void inherit_pools();
  void inherit_worker(const internal::WorkerStarted& started);
  void inherit_memory(core::Task& task);
  void go_on_with_workers();
  void inherit_services();

  // turn.cpp: the end of a turn.
  void end_turn();
  void flush_all();
  void offer_room();
  void arm_timer();
  void expect_answer();
  void perform(const core::Effect& effect);
  void perform_promises(std::vector<core::Promise>& promises, const std::vector<const Record*>& ended);
  bool is_refused_since(const TaskId& id) const;
  void dispatch(const core::Dispatch& dispatch);
  void finish(const Record& record);
  // leaving.cpp: the end of an engine that has stopped.
  void leave();
  void leave_if_settled();
  void end_serving();
  void tell_watchers(core::Sequence task, const std::function<void(Watcher&)>& tell);
  void publish(const StateChange& change);
  void forget(const Record& record);
  std::uint64_t log_bytes(const core::Task& task) const;
  std::shared_ptr<Client> find_client(core::ClientToken token);

  const settings::Pool& pool_settings(core::PoolIndex pool) const;
  std::string log_directory(core::PoolIndex pool) const;

  boost::asio::io_context loop_{1};
  std::shared_ptr<MemoryLedger> memory_ledger_;
  core::Core core_;
  core::Step step_;
  core::Step performing_;
  SpareBuffers spare_buffers_;
  MemoryStore store_;
  LogWatch log_watch_;
  SupervisorLink supervisor_;
  std::shared_ptr<ScheduleBook> schedules_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<Listener> listener_;
  DaemonFacts facts_;
  Access access_;
  Measurements measurements_;
  std::string library_directory_;
  settings::Settings settings_;
  std::unordered_map<std::string, settings::Pool>
      pools_;                                             // by name, those removed from the configuration too
  std::unordered_map<std::string, MadePool> made_pools_;  // by name, those that have gone too
  std::uint64_t last_made_pool_ = 0;
  std::uint32_t connections_max_ = 0;

  core::Time now_;
  mutable std::int64_t wall_offset_ns_ = 0;  // wall clock minus core's clock
  std::uint64_t turn_unix_ms_ = 0;           // the wall clock in this turn; 0: nobody has asked
  bool in_turn_ = false;
  bool time_passed_ = false;  // the core's deadline has come
  bool leaving_ = false;      // everything has stopped; the last answers are being given
  bool left_turn_ = false;    // the turn in which that began is over
  int exit_code_ = 0;
  core::Sequence next_sequence_ = 1;
  std::uint64_t engine_number_ = 0;
  boost::asio::steady_timer timer_;
  BusyPoll busy_poll_;
  BusyPoll::History waits_for_worker_, waits_for_client_;
  std::size_t written_workers_ = 0, written_clients_ = 0;  // to so many, in this turn
  boost::asio::steady_timer leave_timer_{loop_};
  core::Time timer_at_ = core::Time::max();
  bool timer_is_late_ = false;  // what it was set for may be over

  struct ClientEntry {
    std::weak_ptr<Client> client;
    std::uint32_t round = 0;  // the upper half of its token, so that an old token finds nobody
  };
  std::vector<ClientEntry> clients_;
  std::vector<std::uint32_t> free_clients_;
  std::unordered_multimap<core::Sequence, std::weak_ptr<Watcher>> watchers_;
  struct RoomWait {
    core::PoolIndex pool = 0;
    std::uint32_t uid = 0;
    std::weak_ptr<RoomWaiter> waiter;
  };
  std::vector<RoomWait> room_waits_;  // in the order in which they asked
  std::vector<std::weak_ptr<std::function<void(const StateChange&)>>> event_listeners_;
  // Who has output to be written at the end of the turn; and room to go through them, used again.
  std::vector<std::shared_ptr<Flushable>> flushes_, flushing_;
  std::vector<std::shared_ptr<WorkerLink>> link_flushes_, flushing_links_;
  std::vector<const Record*> ended_;             // in the order of step_'s Finished promises ...
  std::vector<const Record*> performing_ended_;  // ... and of performing_'s
  std::size_t stored_ = 0;                       // promises of step_ that store_ended() has seen
  std::map<core::WorkerRef, std::shared_ptr<WorkerLink>> links_;
  bool durable_ = false;  // some pool is
  std::uint32_t adopting_ =
      0;  // workers and other things of an earlier engine that are still to be announced
  // Until all have been announced.
  std::vector<std::pair<internal::WorkerStarted, std::vector<FileDescriptor>>> inherited_workers_;
  FileDescriptor inherited_socket_;
  // Of an engine that has handed over, until it has been put to its place.
  struct Inheritance;
  std::shared_ptr<Inheritance> inheritance_;
  std::vector<StoredTask> handed_tasks_;
  std::vector<std::function<void(const std::string&)>> upgrades_;  // who asked for one
  Acknowledgements acknowledgements_;                              // of this turn
  StoreBatch batch_;                                               // of this turn
  std::deque<Withheld> withheld_;
  std::vector<std::function<void()>> after_commit_;
  std::string store_trouble_;
  bool stop_complete_ = false;                     // everything has ended; the store may not have written it
  std::unordered_set<core::Sequence> unaccepted_;  // refused because the store could not write them
  std::map<std::string, std::vector<StoredTask>> unclaimed_;  // by pool: tasks of pools that are not there
  std::vector<StoredSchedule> stored_schedules_;              // until the tasks are there
  std::unique_ptr<StoreWriter> writer_;                       // last: its thread ends first
  std::uint64_t next_reload_ = 1;
  std::unordered_map<std::uint64_t, std::function<void(bool, std::vector<std::string>)>> reloads_;
};

}  // namespace poold::engine
