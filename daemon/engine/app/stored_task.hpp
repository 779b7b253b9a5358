// Between the core's tasks and a durable store's rows. Decides nothing.
#pragma once

#include <cstdint>
#include <string>

#include "daemon/core/events.hpp"
#include "daemon/core/step.hpp"
#include "daemon/engine/store/durable_store.hpp"
#include "daemon/engine/store/memory_store.hpp"
#include "poold/internal/handover.pb.h"

namespace poold::engine {

// The core's clock stands still while the machine is off, and begins anew; a store's times are the wall's.
struct WallClock {
  std::int64_t offset_ns = 0;  // wall minus core

  // "Never" and "not set" stay what they are: 0.
  std::int64_t unix_ns(core::Time time) const {
    if (time == core::Time{} || time == core::Time::max()) return 0;
    return time.time_since_epoch().count() + offset_ns;
  }
  core::Time core_time(std::int64_t unix_ns, core::Time if_none) const {
    return unix_ns == 0 ? if_none : core::Time(core::Duration(unix_ns - offset_ns));
  }
};

StoredSubmission submission_row(const core::Task& task, const std::string& pool, std::uint64_t digest,
                                const WallClock& clock);
StoredState state_row(const core::Task& task, const WallClock& clock);
StoredState ended_row(const Record& record, const WallClock& clock);

// `pack` and `unpack` are for an engine that hands over what no store has.
internal::HandoverTask pack(const StoredSubmission& submission, const StoredState& state);
StoredTask unpack(internal::HandoverTask&& packed);

// A task that had not ended, as the core takes it back. What ran has its attempt behind it.
core::Recover recover_event(StoredTask&& stored, core::PoolIndex pool, const WallClock& clock);
// One that had.
core::Finished ended_task(StoredTask&& stored, core::PoolIndex pool, const WallClock& clock);

}  // namespace poold::engine
