// What can go wrong in a simulation, and how often it did: a run that meets nothing proves nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace poold::sim {

enum class Fault : std::uint8_t {
  // The supervisor and the processes.
  start_fails,
  worker_killed,          // by anybody, at any moment
  worker_exits,           // by itself, without being asked
  worker_hangs,           // does nothing any more, until somebody ends it
  worker_ignores_cancel,  // runs on after it was asked to end
  worker_closes_pipe,
  worker_sends_garbage,
  worker_says_hello_twice,
  news_of_the_dead,  // about a generation that is long gone
  // What workers say.
  result_of_other_attempt,
  result_of_unknown_task,
  result_impossible,  // an outcome that no worker can know
  result_out_of_order,
  result_twice,
  result_cancelled_by_nobody,
  task_forgotten,
  returns_what_was_not_asked,
  returns_what_runs,
  output_of_other_task,
  // The pipes between.
  frame_torn,     // a frame arrives in pieces
  frames_joined,  // several arrive at once
  frames_late,    // what was said is on its way while the engine goes on
  frame_lost,     // a worker dies in the middle of a frame
  // The store, and engines that come after others (durable.hpp).
  commit_late,
  commit_unheard,
  commit_lost,
  store_full,
  submission_unaccepted,
  durable_engine_crashes,
  worker_adopted,
  adopted_dies,
  last_words,
  result_said_again,
  // Clients.
  client_vanishes,  // and its tasks are cancelled
  client_repeats_key,
  client_reuses_key,  // with another payload
  client_cancels_late,
  // The engine.
  engine_crashes,
  clock_late,  // deadlines are noticed long after
};
inline constexpr std::size_t fault_count = static_cast<std::size_t>(Fault::clock_late) + 1;

std::string_view name(Fault fault);

class FaultCounts {
 public:
  void count(Fault fault) { ++counts_[static_cast<std::size_t>(fault)]; }
  std::uint64_t of(Fault fault) const { return counts_[static_cast<std::size_t>(fault)]; }
  void add(const FaultCounts& other) {
    for (std::size_t i = 0; i < fault_count; ++i) counts_[i] += other.counts_[i];
  }

 private:
  std::array<std::uint64_t, fault_count> counts_{};
};

}  // namespace poold::sim
