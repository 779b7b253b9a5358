// What few tasks ask for, behind one pointer of Task, so that a plain task neither carries nor looks at it:
// when it may run, beside how many others, and what becomes of it when it fails.
//
// The fields are what was asked, then how it stands. Deciding is in waiting.cpp (when), limit.cpp (how many)
// and failure.cpp (failures).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/types.hpp"

namespace poold::core {

struct Group;
struct Limit;

// Tokens of a named limit that the task holds while it runs.
struct LimitUse {
  std::string name;
  std::uint32_t tokens = 1;
  Limit* limit = nullptr;   // while the task lives
  std::uint32_t taken = 0;  // while it runs; fewer than asked if the limit is smaller
};

// A task that has to end first.
struct Parent {
  Sequence task = 0;
  bool however = false;  // how it ends does not matter
  // Of a parent that had ended before the child was submitted.
  std::optional<bool> succeeded;
};

// Which failures are tried again. Both empty: every one but REJECTED.
struct RetryOn {
  std::uint32_t kinds = 0;  // bits by OutcomeKind
  std::vector<int> codes;   // of EXITED

  bool everything() const { return kinds == 0 && codes.empty(); }
  void add(OutcomeKind kind) { kinds |= 1u << static_cast<unsigned>(kind); }
  bool matches(OutcomeKind kind, int exit_code) const {
    if (everything() || (kinds >> static_cast<unsigned>(kind) & 1u)) return true;
    return kind == OutcomeKind::exited && std::ranges::find(codes, exit_code) != codes.end();
  }
};

inline constexpr Duration backoff_max_default = std::chrono::hours(1);

struct TaskOptions {
  // Not inline: what ends a plain task only looks whether it is there.
  ~TaskOptions();

  // Asked.
  Time not_before{};              // delay or time; later the end of a back-off
  Duration time_to_live{};        // not started by then: EXPIRED; 0: no limit
  Duration timeout{};             // of one attempt; 0: none
  Duration deadline{};            // of all attempts, from the submission; 0: none
  std::optional<Duration> grace;  // between the request to end and SIGKILL; the pool's if absent
  Duration backoff{};             // before the second attempt, then doubled
  Duration backoff_max = backoff_max_default;
  std::uint64_t seed = 0;  // for the jitter: the core has no chance of its own
  RetryOn retry_on;
  std::vector<LimitUse> limits;
  std::vector<Parent> parents;     // those that have not ended
  bool cancel_with_parent = true;  // when a parent fails; else the task runs all the same
  bool held = false;
  std::string group;        // its user's group of this name; empty: none
  std::string after_group;  // waits until no task of this one is unfinished; empty: it does not (any more)
  // Belongs to whoever submitted it, and ends when the task is forgotten; the core never looks inside.
  std::shared_ptr<void> kept;

  // How it stands.
  Group* in_group = nullptr;  // counts it; while the task lives
  Time expires_at = Time::max();
  Time deadline_at = Time::max();
  std::uint32_t attempts_before = 0;  // attempts before the last Retry; failures are counted from there
  Limit* parked_at = nullptr;         // stands in this limit's list
  Limit* offered_by = nullptr;        // is queued because this limit had tokens for it ...
  std::uint32_t offered = 0;          // ... so many
  bool timing_out = false;            // the running attempt was asked to end because its time is over
  Time due = Time::max();             // its one timer, and ...
  std::size_t due_place = 0;          // ... where in the heap of TaskTimers that is

  // Is only handed to a worker that idles: what it waits for or counts would go on while it stands behind
  // another.
  bool alone() const {
    return !limits.empty() || timeout > Duration{} || deadline > Duration{} || time_to_live > Duration{};
  }
};

}  // namespace poold::core
