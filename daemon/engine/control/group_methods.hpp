// Tasks/Wait for a group, which wait_method.cpp hands on once it has read the time-out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "daemon/engine/control/backend.hpp"
#include "daemon/engine/control/call.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::engine {

void wait_for_group(Backend& backend, const std::shared_ptr<Call>& call, const v1::WaitRequest& request,
                    std::optional<std::int64_t> timeout_ns);

}  // namespace poold::engine
