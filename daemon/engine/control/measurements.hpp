// What /metrics shows beside the core's own counters: how long things took, and how attempts and workers
// ended. Plain numbers of the loop's thread: to count one costs an addition, and no lock. control/metrics.cpp
// puts them into words.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "daemon/core/step.hpp"
#include "daemon/core/types.hpp"

namespace poold::engine {

// Durations in buckets: up to 1 us, 4 us, 16 us, ... about 5 hours, and longer.
class DurationHistogram {
 public:
  static constexpr std::size_t bounds = 18;
  static constexpr std::uint64_t bound_us(std::size_t bucket) { return std::uint64_t{1} << (2 * bucket); }

  void add(core::Duration duration) {
    const std::int64_t ns = duration.count() > 0 ? duration.count() : 0;
    const auto us = static_cast<std::uint64_t>((ns + 999) / 1000);
    const auto bucket = static_cast<std::size_t>(std::bit_width(us > 0 ? us - 1 : 0) + 1) / 2;
    ++counts_[bucket < bounds ? bucket : bounds];
    sum_ns_ += ns;
  }
  // Of this bucket alone; the last has no bound.
  std::uint64_t count(std::size_t bucket) const { return counts_[bucket]; }
  double sum_seconds() const { return static_cast<double>(sum_ns_) / 1e9; }

 private:
  std::array<std::uint64_t, bounds + 1> counts_{};
  std::int64_t sum_ns_ = 0;
};

// Why a worker is no more.
enum class WorkerEnd : std::uint8_t {
  asked,      // it was told to go: a stop, a recycle, a smaller pool
  condemned,  // killed by us: silent, in the way of a cancel, no protocol
  exited,     // by itself
  signaled,   // by somebody else, or by its own fault
};
inline constexpr std::array<const char*, 4> worker_end_names{"asked", "condemned", "exited", "signaled"};

struct PoolMeasurements {
  DurationHistogram waits;                   // from the queue to a worker, before the last attempt
  DurationHistogram runs;                    // of the last attempt
  std::array<std::uint64_t, 11> outcomes{};  // by core::OutcomeKind
  std::uint64_t worker_starts = 0;
  std::uint64_t worker_start_failures = 0;
  std::array<std::uint64_t, worker_end_names.size()> worker_ends{};  // by WorkerEnd
};
static_assert(static_cast<std::size_t>(core::OutcomeKind::rejected) == 10);

class Measurements {
 public:
  PoolMeasurements& pool(core::PoolIndex index) {
    if (index >= pools_.size()) pools_.resize(index + 1);
    return pools_[index];
  }
  const PoolMeasurements& pool(core::PoolIndex index) const {
    static const PoolMeasurements nothing;
    return index < pools_.size() ? pools_[index] : nothing;
  }
  void task_ended(const core::Finished& finished) {
    const core::Task& task = finished.task;
    PoolMeasurements& pool_measured = pool(task.pool);
    ++pool_measured.outcomes[static_cast<std::size_t>(finished.kind)];
    if (task.attempt == 0) return;
    pool_measured.waits.add(task.started_at - task.queued_at);
    pool_measured.runs.add(finished.ended_at - task.started_at);
  }
  // How long a turn of the loop took: so long may everybody else have waited.
  DurationHistogram turns;

 private:
  std::vector<PoolMeasurements> pools_;
};

}  // namespace poold::engine
