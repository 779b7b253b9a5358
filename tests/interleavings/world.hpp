// One worker and two tasks, and everything that can happen to them: the moves of a world are taken in every
// order (main.cpp). The end of a turn is a move of its own, so that events also meet in one turn.
//
// How much can go wrong is bounded (a few deaths, one failed start), so that every order comes to an end;
// there nothing may be left. The judge is a bystander, as in tests/sim: he knows what was asked for and
// promised. What few tasks cannot show (order, shares, throughput) is the simulator's business.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/core/core.hpp"

namespace poold::interleavings {

using namespace poold::core;

// What the tasks of a world ask for.
struct Wishes {
  const char* name;
  std::uint32_t attempts = 1;
  bool timeout = false;     // of both
  bool limit = false;       // both take the only token
  bool parent = false;      // the second waits for the first
  bool expires = false;     // the second
  bool backoff = false;     // of both
  bool hold = false;        // the first is held, and released some time
  bool sent_ahead = false;  // tasks have proved short before
  bool start_may_fail = false;
  std::uint32_t deaths = 1;  // of the worker
};

enum class Move : std::uint8_t {
  submit,
  cancel_first,
  cancel_second,
  release_first,
  start_succeeds,
  start_fails,
  hello,
  succeeds,
  fails,
  gives_back,
  dies,
  exits,
  time_passes,
  turn_ends,
};
std::string_view name(Move move);

class World {
 public:
  explicit World(const Wishes& wishes);

  // What can happen now; nothing: it has come to its end.
  std::vector<Move> moves() const;
  void take(Move move);
  // One that was taken before: the tables have been looked at.
  void take_again(Move move);
  // Everything that matters for what can follow, as a number.
  std::uint64_t hash() const;
  // Empty, or what is wrong.
  const std::string& complaint() const { return complaint_; }
  // In a state without moves: everything must be over.
  void judge_end();

 private:
  struct Known {
    // `ended` is decided, `told` is promised.
    bool submitted = false, cancelled = false, ended = false, told = false, well = false, runs = false;
    std::uint32_t attempts = 0;  // that have ended
    bool operator==(const Known&) const = default;
  };
  void require(bool holds, const char* what) {
    if (!holds && complaint_.empty()) complaint_ = what;
  }
  void handle(Event&& event);
  void submit();
  void cancel(int which);
  void report(OutcomeKind kind);
  void end_turn();
  void check_tables(const char* when);
  void warm_up();
  void perform(const Effect& effect);
  void perform(const Promise& promise);
  void dispatched(const Dispatch& promise);
  void finished(const Finished& promise);
  Known& known(Sequence task) { return tasks_[task - first_]; }
  WorkerRef worker() const { return {0, 0, generation_}; }

  Wishes wishes_;
  Core core_;
  Step step_;
  Time now_ = Time{} + std::chrono::hours(1);
  Sequence first_ = 1;
  Known tasks_[2];
  int submitted_ = 0;
  bool starting_ = false, alive_ = false, said_hello_ = false, told_to_go_ = false, killed_ = false;
  std::vector<Sequence> holds_, asked_back_;
  Generation generation_ = 0;
  std::uint32_t deaths_ = 0;
  bool start_failed_ = false, released_ = false;
  int events_in_turn_ = 0;
  bool judging_ = false, checking_ = true;
  std::string complaint_;
};

}  // namespace poold::interleavings
