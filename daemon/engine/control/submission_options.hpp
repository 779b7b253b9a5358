// The part of a submission that few tasks have: when it may run, beside how many others, and what follows
// when it fails; checked, and in the core's words.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "daemon/engine/control/backend.hpp"
#include "poold/v1/limits.pb.h"
#include "poold/v1/task.pb.h"

namespace poold::engine {

inline constexpr int parents_max = 1000;
inline constexpr int task_limits_max = 16;
// Longer than any task; short enough for nanoseconds since any clock's beginning.
inline constexpr std::int64_t duration_seconds_max = std::int64_t{10} * 365 * 24 * 3600;

// Null for a task that asks for nothing of this. An error names the field.
std::variant<std::unique_ptr<core::TaskOptions>, ConnectError> make_options(Backend& backend,
                                                                            const v1::TaskSpec& spec,
                                                                            const Rights& rights);

// Nothing, or what is wrong with a limit's name or rate.
std::optional<std::string> check_limit_name(const std::string& field, const std::string& name);
std::variant<core::Rate, ConnectError> read_rate(const v1::Rate& rate);

}  // namespace poold::engine
