// A world with one of everything, and what is said of its tables after one of them was damaged by hand.
//
// It only shows that broken_invariant() sees what it is there for: nothing is handled after the damage.
#pragma once

#include <string>
#include <vector>

#include "daemon/core/core.hpp"

namespace poold::core {

// One thing that cannot be, and what is said of it.
struct Damage {
  std::string complaint;
  void (*apply)(State&);
};

// Damages a fresh world each time.
void expect_complaints(const std::vector<Damage>& damages);

// The tasks of that world, all of the pool "p"; of the pool "q" there is one worker.
inline constexpr Sequence limited = 1;     // runs on p/1, with a token of the limit "db"; of the group "g"
inline constexpr Sequence parked = 2;      // waits for the limit "db"
inline constexpr Sequence keyed = 3;       // runs on p/0
inline constexpr Sequence plain = 4;       // is queued
inline constexpr Sequence child = 5;       // waits for `keyed`
inline constexpr Sequence completion = 6;  // waits for the group "g"
inline constexpr Sequence mortal = 7;      // is queued behind `plain`, with a timer
inline constexpr Sequence held = 8;        // waits for its release, the last that waits

Task& task_of(State& state, Sequence number);
// q/0 is idle.
inline Slot& slot_of(State& state, PoolIndex pool, std::uint32_t number) {
  return state.pools[pool].slots[number];
}
inline Limit& limit_of(State& state) { return *state.limits.at("db"); }
inline Group& group_of(State& state) { return *state.groups.at({0, "g"}); }
// A task that is in no table, as if new.
Task& stray_task();

}  // namespace poold::core
