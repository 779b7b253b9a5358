// A small world around one Core: virtual time, a supervisor and workers that do what the test says, and a
// record of all that the core asked for or promised. The tables are checked after every event. A test ends by
// showing that nothing happened which it did not expect.
//
// Events that need no thought (a start answered, a result sent) have a short call; everything else goes
// through turn(). How the record reads is in world.cpp.
#pragma once

#include <initializer_list>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/core.hpp"

namespace poold::core {

using namespace std::chrono_literals;

// A pool of function workers with the defaults, but crash_attempts 3 and a grace of 2 s, to tell it from
// other times.
PoolSettings pool_settings(std::string name = "p", std::uint32_t workers = 1);
// A task of pool 0; World::submit gives it its id.
Submit task(std::int32_t priority = 0);
Submit keyed_task(std::string key, std::uint64_t digest);

class World {
 public:
  // These pools, and no worker yet.
  explicit World(std::vector<PoolSettings> pools);
  // The pool "p" (index 0) with so many workers, each ready; the record is empty.
  explicit World(std::uint32_t workers);
  // Fails the test if there is something in the record.
  ~World();
  World(const World&) = delete;

  // One turn of the engine: the events, the schedule, the effects.
  template <class... Events>
  void turn(Events&&... events) {
    (handle(std::forward<Events>(events)), ...);
    end_turn();
  }
  void handle(Event&& event);
  void end_turn();

  // Lets time pass, with a turn at every deadline on the way.
  void advance(Duration by);
  Time now() const { return now_; }
  // How often the core would have been woken before it has nothing to wait for, at most `limit`.
  int wake_ups_until_quiet(int limit = 100);

  // Clients. The first task has number 1.
  Sequence submit(Submit&& event = task());
  // Tasks in one turn; the number of the first.
  Sequence submit_many(std::uint32_t count, std::int32_t priority = 0);
  void cancel(Sequence number) { turn(Cancel{number}); }

  // The supervisor. The next generation of a slot starts ...
  WorkerRef started(std::uint32_t slot, PoolIndex pool = 0);
  // ... and says hello.
  WorkerRef ready(std::uint32_t slot, PoolIndex pool = 0);
  // Until no start is outstanding.
  void ready_all();
  void start_failed(std::uint32_t slot, PoolIndex pool = 0);
  void exited(WorkerRef worker, int code = 0) { turn(WorkerExited{worker, false, code}); }
  void killed(WorkerRef worker, int signal = 9) { turn(WorkerExited{worker, true, signal}); }

  // The worker that holds the task reports this outcome of the task's attempt.
  void finish(Sequence number, OutcomeKind kind = OutcomeKind::returned, std::string body = {});
  WorkerResult result_of(Sequence number, OutcomeKind kind = OutcomeKind::returned) const;
  void returned(WorkerRef worker, std::vector<Sequence> tasks) {
    turn(WorkerReturned{worker, std::move(tasks)});
  }
  // Runs tasks that take no time until so much is sent ahead as can be. One worker must be ready and nothing
  // queued. Not recorded.
  void make_tasks_short();

  // The record since the last call is exactly this.
  void expect(std::initializer_list<std::string> lines,
              std::source_location where = std::source_location::current());
  void forget() { record_.clear(); }

  // The tables.
  Core core;
  const Pool& pool(PoolIndex index = 0) const { return core.state().pools[index]; }
  const Slot& slot(std::uint32_t number, PoolIndex pool_index = 0) const {
    return pool(pool_index).slots[number];
  }
  WorkerRef worker(std::uint32_t number, PoolIndex pool_index = 0) const {
    return {pool_index, number, slot(number, pool_index).generation};
  }
  const Task* find(Sequence number) const { return core.state().tasks.find(number); }
  std::vector<Sequence> queued(PoolIndex index = 0) const;
  std::vector<Sequence> held(std::uint32_t number, PoolIndex index = 0) const;
  TaskId id(Sequence number) const;

 private:
  void check(const char* when);

  Time now_ = Time{} + 1h;
  Step step_;
  std::vector<std::string> record_;
  std::vector<std::pair<PoolIndex, std::uint32_t>> outstanding_starts_;
  std::vector<std::pair<std::pair<PoolIndex, std::uint32_t>, Generation>> generations_;
  Sequence last_ = 0;
};

}  // namespace poold::core
