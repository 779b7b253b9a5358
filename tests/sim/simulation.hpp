// A whole daemon's life in a millisecond: the real core under a virtual clock, and around it everything that
// can go wrong, chosen by a seed. One seed is one run, always the same.
//
// First a phase with faults: whatever happens, nothing wrong is promised (safety). Then one without:
// everything becomes terminal and quiet (liveness). The judge (judge.cpp) knows only what a bystander sees:
// what was submitted, what the core asked for and promised, which processes live. Beside it the core's own
// tables are checked after every event (broken_invariant).
//
// Fault model: see faults.hpp. Pools are in memory, so that a crash of the engine loses everything that it
// had accepted; what outlives an engine is simulated in durable.hpp. What the
// engine and a worker say to each other goes through the real frames and a torn pipe each way (wire.hpp).
//
// Where to look: choices.cpp (clients, operators, supervisor), workers.cpp (what workers do, and their lies),
// wishes.cpp (tasks that ask for more than to be run), limits.cpp (tokens and rates).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
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

inline constexpr std::uint32_t steps_default = 250;
// What every seed has at least.
inline constexpr std::size_t tasks_min = 100;
inline constexpr std::uint32_t workers_min = 3, pools_min = 2;

class Simulation {
 public:
  Simulation(std::uint64_t seed, bool in_words);

  // The whole run: so many steps with faults, then the rest without.
  void run(std::uint32_t steps);

  bool failed() const { return !complaint_.empty(); }
  const std::string& complaint() const { return complaint_; }
  // The step in which it failed, or the last.
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
  // A process, as it sees itself.
  struct Worker {
    WorkerRef ref;
    bool hello = false;
    bool told_to_stop = false;
    bool killed = false;
    bool closed = false;
    bool stuck = false;     // only its death can help
    bool stubborn = false;  // does not end what it is asked to end
    std::deque<Held> held;
    std::optional<std::vector<Sequence>> asked_back;
    std::set<Sequence> cancelled;
    Pipe up, down;            // to the engine, and from it
    bool unreadable = false;  // the engine has given it up
  };
  // What a task was submitted with, beyond the plain.
  struct Wishes {
    Time not_before{};
    Duration time_to_live{}, timeout{}, deadline{};
    Time expires_at = Time::max(), deadline_at = Time::max();
    Duration backoff{}, backoff_max{};
    RetryOn retry_on;
    std::map<std::string, std::uint32_t> limits;
    std::size_t open_parents = 0;
    bool cancel_with_parent = true;
    bool doomed = false;  // a parent has failed, and it goes with it
    bool held = false;
    std::string group, after_group;
    bool waits_for_group = false;
  };
  // A task, as a bystander sees it. By sequence number; id 0: never accepted.
  struct Known {
    TaskId id;
    std::optional<WorkerRef> on;
    PoolIndex pool = 0;
    std::int32_t priority = 0;
    std::uint32_t uid = 0;
    ClientToken client = 0;
    std::uint32_t attempts_ended = 0;
    bool cancelled = false;
    bool succeeded = false;  // a worker has said so
    bool finished = false;
    bool ended_well = false;
    bool was_returned = false;  // its place in the order is not the first one any more
    std::uint32_t attempts_max = 1;
    std::uint32_t failures = 0;  // since it was submitted or tried again
    bool started = false;        // since then
    std::optional<Wishes> wishes;
    // The running attempt.
    Time started_at{};
    bool timed_out = false;  // was asked to end because its time was over
    std::map<std::string, std::uint32_t> taken;
    // What its worker said last.
    OutcomeKind said = OutcomeKind::unspecified;
    int said_code = 0;
  };

  // simulation.cpp: turns and phases.
  void handle(Event&& event);
  void end_turn();
  void ring();
  void stumble(std::uint32_t steps);
  void keep_workers();
  void settle();
  bool one_honest_step();
  void stop();
  void crash_engine();

  // judge.cpp: what may follow from what happened.
  void require(bool holds, const char* what);
  template <class Text>
  void require(bool holds, Text text) requires std::is_invocable_v<Text> {
    if (!holds && complaint_.empty()) complaint_ = text();
  }
  void require_task(bool holds, Sequence task, const char* what);
  void perform(const Effect& effect);
  void perform(Promise& promise);
  void dispatched(const Dispatch& promise);
  void finished(Finished& promise);
  void attempt_ended(const AttemptEnded& promise);
  void asked_back(const ReturnTasks& effect);
  void cancelled(const CancelAttempt& effect);
  void check_order(Sequence number, const Known& task);
  void check_idle_workers();
  std::size_t count_processes() const;
  void check_rest();
  std::uint32_t workers_at_rest(const Pool& pool) const;
  Worker& receiver(WorkerRef ref);
  Known& known(Sequence task);

  // wishes.cpp: tasks that ask for more, and what the judge says to that.
  std::unique_ptr<TaskOptions> choose_wishes(Wishes& wishes);
  void choose_parents(TaskOptions& options, Wishes& wishes);
  void hold_or_release();
  void retry();
  void release_all();
  void judge_start(Sequence number, Known& task);
  void judge_end(const Finished& promise, const Known& task);
  void judge_repeat(const AttemptEnded& promise, Known& task);
  void judge_late_tasks();
  bool may_repeat(const Known& task, OutcomeKind kind) const;
  void leave_attempt(Known& task);
  void tell_children(Sequence number, bool succeeded);

  // groups.cpp: many under one name, and who waits for their end.
  struct GroupView {
    std::set<Sequence> members;  // that have not ended
    std::set<Sequence> waiting;  // for their end
  };
  void choose_groups(TaskOptions& options, Wishes& wishes);
  bool has_unfinished(const GroupView& group);
  bool groups_take(std::uint32_t uid, const Wishes& wishes);
  void join_groups(Sequence number, Known& task, bool waits);
  // Whoever waits for a group whose tasks have ended in this turn waits no more, also if others join it now.
  void release_if_over(std::uint32_t uid, const std::string& name);
  void leave_groups(Sequence number, Known& task);

  // limits.cpp: tokens and rates.
  void act_on_limits();
  void open_limits();
  void take_tokens(Sequence number, Known& task);
  void check_limits();
  void check_rate(std::vector<Time>& starts, const Rate& rate, const char* what);

  // choices.cpp: what clients, operators and the supervisor do.
  void choose();
  void advance();
  void act_as_client();
  void act_as_operator();
  void act_as_supervisor();
  void submit(PoolIndex pool, bool plain = false);
  void judge_answer(const Submit& asked, const std::optional<KeyEntry>& key, bool open);
  bool is_open(const Pool& pool, std::uint32_t uid) const;
  void cancel();
  void vanish();
  void forget_key();
  void reconfigure(bool first);
  void act_on_process();
  void start_succeeds(Place place);
  void start_fails(Place place);
  void exits(Place place, bool signaled, int code);
  void warm_up();

  // workers.cpp
  void act_as_worker(Worker& worker);
  void say(Worker& worker, const Message& message);
  void arrive(Worker& worker, const std::vector<Message>& messages, bool readable);
  void heard(const Worker& worker, const Message& message);
  void tell(Worker& worker, const Message& message);
  void lie(Worker& worker);
  void lie_about_results(Worker& worker);
  bool work_honestly(Worker& worker);
  void answer_return(Worker& worker, bool even_the_running_one);
  void report_result(Worker& worker, std::size_t position, OutcomeKind kind, int exit_code = 0);

  bool lives(Sequence task) { return core_.state().tasks.find(task) != nullptr; }

  Random random_;
  Trace trace_;
  FaultCounts faults_;
  Core core_;
  Step step_;
  Time now_;
  bool fast_ = false;  // little time passes between steps
  bool stopping_ = false;
  std::uint32_t workers_max_ = 0;
  std::map<Place, Worker> workers_;
  std::set<WorkerRef> gone_;  // in this turn, so that the core may have asked for something before
  std::set<Place> starting_;
  std::map<Place, Generation> generations_;
  std::vector<Known> tasks_;
  std::unordered_map<std::string, KeyEntry> keys_;
  std::vector<std::string> key_names_;  // those in keys_, to choose from
  // The last plain task that was started first, by pool, priority and uid.
  std::map<std::tuple<PoolIndex, std::int32_t, std::uint32_t>, Sequence> order_;
  std::unordered_map<Sequence, std::vector<std::pair<Sequence, bool>>> children_;  // however?
  std::map<Sequence, Task> ended_;  // the store: those that may be tried again
  std::map<std::pair<PoolIndex, std::uint32_t>, std::uint32_t> user_tasks_;
  std::map<std::pair<std::uint32_t, std::string>, GroupView> groups_;
  struct LimitView {
    std::uint32_t size = 1, used = 0;
    Rate rate;
    std::vector<Time> starts;
  };
  std::map<std::string, LimitView> limits_;
  std::map<PoolIndex, std::vector<Time>> pool_starts_;
  bool rang_ = false;  // deadlines were served in this turn
  std::string complaint_;
  std::uint64_t engine_ = 1;
  Sequence last_ = 0;
  std::size_t accepted_ = 0, finished_ = 0;
  int stop_completes_ = 0;
  std::uint64_t events_ = 0;
  std::uint32_t step_number_ = 0;
};

}  // namespace poold::sim
