// What the log says of attempts: those that the machine took at info, all others at debug, so that a daemon
// of a million tasks a second writes nothing about them.
#pragma once

#include <cstdint>
#include <string>

#include "common/task_id.hpp"
#include "daemon/core/types.hpp"

namespace poold::engine {

// An attempt has ended; `again`: the task will be tried once more.
void log_attempt_end(const std::string& pool, const TaskId& id, std::uint32_t attempt, core::OutcomeKind kind,
                     bool again);

}  // namespace poold::engine
