// The words of the core. Time is an argument everywhere: Clock has no now().
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string_view>

#include "common/task_id.hpp"

namespace poold::core {

using Duration = std::chrono::nanoseconds;
struct Clock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Clock>;
  static constexpr bool is_steady = true;
};
using Time = Clock::time_point;

using Sequence = std::uint64_t;     // a task's number, part of its id
using PoolIndex = std::uint32_t;    // place in the table of pools; never reused
using Generation = std::uint32_t;   // counts the processes of one slot, from 1
using ClientToken = std::uint64_t;  // whom to tell; means nothing here. 0: nobody

inline constexpr std::uint32_t no_slot = ~std::uint32_t{0};

// One process in one slot.
struct WorkerRef {
  PoolIndex pool = 0;
  std::uint32_t slot = 0;
  Generation generation = 0;
  auto operator<=>(const WorkerRef&) const = default;
};

enum class TaskState : std::uint8_t { waiting, queued, running, succeeded, failed, cancelled };
enum class PoolState : std::uint8_t { starting, ready, paused, draining, throttled };
enum class WorkerState : std::uint8_t { vacant, starting, idle, busy, retiring, stopping };

// In the order and with the numbers of poold.v1.Outcome.Kind.
enum class OutcomeKind : std::uint8_t {
  unspecified,
  exited,
  returned,
  raised,
  signaled,
  timed_out,
  out_of_memory,
  worker_lost,
  cancelled,
  expired,
  rejected,
};

std::string_view name(TaskState state);
std::string_view name(PoolState state);
std::string_view name(WorkerState state);
std::string_view name(OutcomeKind kind);

}  // namespace poold::core
