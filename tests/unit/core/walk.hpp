// A random walk through everything that can happen to a Core, and a model of its own that says what may
// follow.
//
// The model knows only what a bystander sees: what was submitted, what the core asked for and promised, which
// processes live. It checks that nothing is promised twice or to nobody, that attempts are numbered without
// gaps and never overlap, and that nobody is sent what it cannot take (walk.cpp).
//
// Faults: starts that fail, workers that die at any moment, close their pipe, hang, forget tasks, and lie
// (results of other attempts, of unknown tasks, twice, with impossible outcomes; returns of what was not
// asked for; two hellos; garbage). Clients cancel, repeat keys, and forget them; operators pause, drain,
// scale, recycle, reload, stop (walk_choices.cpp, walk_workers.cpp). One seed is one walk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/core.hpp"

namespace poold::core {

// The same numbers everywhere, unlike the standard's distributions.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t end) { return engine_() % end; }
  bool chance(std::uint32_t percent) { return below(100) < percent; }
  template <class Container>
  auto& pick(Container& container) {
    return *std::next(container.begin(), static_cast<std::ptrdiff_t>(below(container.size())));
  }

 private:
  std::mt19937_64 engine_;
};

class Walk {
 public:
  explicit Walk(std::uint64_t seed);

  // Safety: so many random turns.
  void stumble(int turns);
  // Liveness: no more faults; everything must become terminal and quiet.
  void settle();
  // And the end.
  void stop();

  bool failed() const { return !complaint_.empty(); }
  // What went wrong, and what happened just before.
  std::string report() const;
  // Events by their place in Event, effects and promises in words.
  const std::vector<std::string>& record() const { return record_; }

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
    bool forgetful = false;  // it has dropped a task: only its death can help
    std::deque<Held> held;
    std::optional<std::vector<Sequence>> asked_back;
    std::set<Sequence> cancelled;
  };
  struct Known {
    TaskId id;
    std::optional<WorkerRef> on;
    std::uint32_t attempts_ended = 0;
    bool cancelled = false;
    bool succeeded = false;  // a worker has said so
    bool finished = false;
  };

  // Turns, and what the model says to what came of them.
  void handle(Event&& event);
  void end_turn();
  void perform(const Effect& effect);
  void perform(const Promise& promise);
  void dispatched(const Dispatch& promise);
  void finished(const Finished& promise);
  void attempt_ended(const AttemptEnded& promise);
  void asked_back(const ReturnTasks& effect);
  void cancelled(const CancelAttempt& effect);
  Worker& receiver(WorkerRef ref);
  void require(bool holds, const std::string& what);
  void advance();
  void ring();

  // What clients, operators, the supervisor and workers do.
  void choose();
  void act_as_client();
  void act_as_operator();
  void act_as_supervisor();
  void act_as_worker(Worker& worker);
  void lie(Worker& worker);
  void lie_about_results(Worker& worker);
  bool work_honestly(Worker& worker);
  void answer_return(Worker& worker, bool even_the_running_one);
  void report_result(Worker& worker, std::size_t position, OutcomeKind kind, int exit_code = 0);
  void submit(PoolIndex pool);
  void cancel();
  void forget_key();
  void reconfigure();
  void start_succeeds(Place place);
  void start_fails(Place place);
  void exits(Place place, bool signaled, int code);
  bool one_honest_step();
  void warm_up();

  Random random_;
  Core core_;
  Step step_;
  Time now_;
  bool fast_ = false;  // little time passes between turns
  std::map<Place, Worker> workers_;
  std::set<WorkerRef> gone_;  // in this turn, so that the core may have asked for something before
  std::set<Place> starting_;
  std::map<Place, Generation> generations_;
  std::map<Sequence, Known> tasks_;
  std::map<std::string, KeyEntry> keys_;
  std::vector<std::string> record_;
  std::string complaint_;
  Sequence last_ = 0;
  std::size_t accepted_ = 0, finished_ = 0;
  bool stopping_ = false;
  int stop_completes_ = 0;
};

}  // namespace poold::core
