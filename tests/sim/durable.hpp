// Durable pools in the simulated world: a store that commits late, engines that die and leave their workers
// alive, and the next one that takes over what the store and the workers say.
//
// A world of its own beside Simulation, with the same core, frames and chances: here tasks are plain, and
// what is judged is what outlives an engine. What was acknowledged is found after any crash with one outcome;
// what is sent to a worker is on the disk before; no attempt number runs twice, no task on two workers; a
// result whose receipt was acknowledged is never run again; a cancel that was answered holds; keys keep their
// task.
//
// Where to look: durable.cpp (turns, clients, workers, crashes), durable_store.cpp (what waits for a commit,
// and what the judge says to it).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/core.hpp"
#include "tests/sim/faults.hpp"
#include "tests/sim/random.hpp"
#include "tests/sim/trace.hpp"
#include "tests/sim/wire.hpp"

namespace poold::sim {

using namespace std::chrono_literals;
using namespace poold::core;

class DurableWorld {
 public:
  DurableWorld(std::uint64_t seed, bool in_words);

  void run(std::uint32_t steps);

  bool failed() const { return !complaint_.empty(); }
  const std::string& complaint() const { return complaint_; }
  std::uint32_t step() const { return step_number_; }
  const Trace& trace() const { return trace_; }
  const FaultCounts& faults() const { return faults_; }
  std::uint64_t events() const { return events_; }
  std::size_t submitted() const { return last_; }

 private:
  using Place = std::pair<PoolIndex, std::uint32_t>;
  struct Held {
    Sequence task;
    std::uint32_t attempt;
  };
  struct Worker {
    WorkerRef ref;
    std::int32_t pid = 0;
    bool hello = false, told_to_stop = false, killed = false;
    bool estranged = false;  // its engine is gone, and it has not said hello to the next
    std::deque<Held> held;
    std::vector<Message> kept;  // results that nobody has acknowledged
    std::set<Sequence> cancelled;
    std::optional<std::vector<Sequence>> asked_back;
    Pipe up, down;
  };
  // A task on the disk.
  struct Row {
    TaskId id;
    PoolIndex pool = 0;
    std::int32_t priority = 0;
    std::uint32_t uid = 0, attempts_max = 1, crash_attempts_max = 1;
    std::optional<std::string> key;
    std::uint64_t digest = 0;
    std::optional<TaskOptions> options;
    TaskState state = TaskState::queued;
    OutcomeKind kind = OutcomeKind::unspecified;
    bool cancelling = false, ended = false, forgotten = false;
    std::uint32_t attempt = 0, failures = 0, crashes = 0, slot = no_slot;
    Generation generation = 0;
    std::int32_t pid = 0;
    Time submitted_at{}, started_at{};
  };
  // What waits for one commit.
  struct Batch {
    std::vector<Row> rows;
    std::vector<Promise> promises;
    std::vector<Effect> effects;
    std::vector<std::pair<WorkerRef, Sequence>> acknowledgements;
    std::vector<Sequence> cancels;  // to be answered
  };
  // A task, as a bystander sees it.
  struct Known {
    bool durable = false;
    std::optional<std::string> key;
    std::uint64_t digest = 0;
    bool acknowledged = false, refused = false;
    bool cancel_asked = false, cancel_answered = false;
    std::optional<TaskState> told;
    std::uint32_t acknowledged_attempt = 0;  // its result was, too
    std::uint32_t attempts_done = 0;         // the last that a worker has brought to its end
    bool succeeded = false;
  };

  // durable.cpp
  void configure();
  void handle(Event&& event);
  void end_turn();
  void choose();
  void submit();
  void cancel();
  void perform(const Effect& effect);
  void act_on_process();
  bool work(Worker& worker);
  void result(Worker& worker, std::size_t position, OutcomeKind kind);
  void say(Worker& worker, const Message& message);
  void heard(WorkerRef worker, const Message& message);
  void tell(Worker& worker, const Message& message);
  void hear(Worker& worker, const Message& message);
  void exits(Place place, bool signaled, int code);
  void last_words(Worker& worker);
  static Message again(const Worker& worker);
  void say_again(Worker& worker);
  void crash();
  void recover();
  void settle();
  Worker* find(WorkerRef worker);

  // durable_store.cpp
  bool durable(PoolIndex pool) const { return core_.state().pools[pool].settings.durable; }
  Row row_of(const Task& task, OutcomeKind kind, bool ended) const;
  Task task_of(const Row& row) const;
  bool waits_for_commit(const Effect& effect);
  void withhold();
  void apply(const Row& row);
  void commit(std::size_t batches);
  void perform(Promise& promise);
  void dispatch(const Dispatch& promise);
  void accepted(const Accepted& promise);
  void finished(const Finished& promise);
  void acknowledge(WorkerRef worker, Sequence task);
  void trouble();
  void judge_disk();
  void require(bool holds, Sequence task, const char* what);

  Random random_;
  Trace trace_;
  FaultCounts faults_;
  Core core_;
  Step step_;
  Time now_;
  std::string complaint_;
  std::map<Place, Worker> workers_;
  std::set<Place> starting_;
  std::map<Place, Generation> generations_;
  std::vector<PoolSettings> settings_;
  std::map<Sequence, Row> disk_;
  std::deque<Batch> withheld_;
  std::vector<std::pair<WorkerRef, Sequence>> acknowledgements_;  // of this turn
  std::vector<Sequence> cancels_;                                 // of this turn
  std::vector<Sequence> forgotten_;                               // of this turn
  std::set<Sequence> unaccepted_, let_go_;  // refused after all: on their way out, and out
  std::uint32_t full_for_ = 0;              // steps in which the store takes nothing
  bool calm_ = false;                       // no more faults
  std::vector<Known> tasks_;
  std::map<std::string, std::pair<Sequence, std::uint64_t>> keys_;  // that somebody was told of
  Sequence last_ = 0;
  std::int32_t last_pid_ = 1000;
  std::uint64_t events_ = 0;
  std::uint32_t step_number_ = 0;
};

}  // namespace poold::sim
