// The stage on which a script plays: one Core under virtual time, a supervisor and workers that do what the
// script says, a store that remembers what durable pools wrote, and schedules on a clock of their own. Every
// command is an event (or time); what follows from it is the trace. The core's tables are checked after every
// event, and a broken invariant is a line of the trace, so that it cannot be overlooked.
//
// Nothing is chosen here: what may go wrong by chance is the simulator's business (tests/sim).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/core/core.hpp"
#include "daemon/core/schedules.hpp"
#include "tests/scenario/words.hpp"

namespace poold::scenario {

using namespace poold::core;

class Stage {
 public:
  Stage() : core_(std::make_unique<Core>()) {}

  // One turn: commands with ';' between them, then the schedule. The trace of it.
  std::vector<std::string> play(std::string_view line);

 private:
  using Place = std::pair<PoolIndex, std::uint32_t>;

  void command(Words& words);
  bool client_command(Words& words);
  bool operator_command(Words& words);
  bool process_command(Words& words);
  bool other_command(Words& words);

  // From clients.
  void submit(Words& words);
  std::unique_ptr<TaskOptions> options(Words& words) const;
  void retry(Sequence number);
  void explain(Sequence number);
  // From operators.
  void pool(Words& words);
  void set_limit(Words& words);
  // From the supervisor and the workers.
  void start(Place place, bool hello);
  void result(Words& words);
  void all_say_hello();
  // Engines come and go.
  void crash(Words& words);
  void remember(const Task& task);
  // Time.
  void advance(Duration by);
  void warm(PoolIndex pool);
  // schedules_stage.cpp
  void schedule(Words& words);
  void clock(Words& words);
  void run_schedule(Schedule& schedule, OverlapDecision decision);

  void handle(Event&& event);
  void end_turn();
  void say(std::string line) { trace_.push_back(std::move(line)); }
  PoolIndex pool_of(std::string_view name) const;
  Place place_of(std::string_view text) const;
  WorkerRef worker_of(std::string_view text) const;
  Sequence task_of(std::string_view text) const;

  std::unique_ptr<Core> core_;
  Step step_;
  Time now_ = Time{} + std::chrono::hours(1);
  std::vector<std::string> trace_;
  std::vector<PoolSettings> pools_;
  std::uint32_t workers_max_ = 0;
  std::vector<Place> starting_;
  std::map<Place, Generation> generations_;
  std::map<Sequence, Task> ended_;   // that may be tried again
  std::map<Sequence, Task> stored_;  // of durable pools, as last written
  std::map<Sequence, std::uint64_t> digests_;
  Sequence last_ = 0;
  Schedules schedules_;
  std::int64_t clock_ = 1'800'014'400;  // 2027-01-15 12:00:00 UTC
};

}  // namespace poold::scenario
