// A batch of which all tasks are accepted or none: looks before it leaps.
//
// Nothing is queued here. What is returned is accepted whole if it is submitted in the same turn.
#pragma once

#include <variant>
#include <vector>

#include "daemon/engine/control/submission.hpp"

namespace poold::engine {

// The error begins with tasks[INDEX].
std::variant<std::vector<core::Submit>, ConnectError> make_batch(
    Backend& backend, const google::protobuf::RepeatedPtrField<v1::TaskSpec>& specs, std::uint32_t uid,
    const Rights& rights);

}  // namespace poold::engine
