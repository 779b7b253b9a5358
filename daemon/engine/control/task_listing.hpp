// Pages of tasks, newest first, at a bounded cost a page whatever there is.
#pragma once

#include <variant>

#include "daemon/engine/control/backend.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::engine {

// Only tasks that `rights` may see.
std::variant<v1::ListTasksResponse, ConnectError> list_tasks(const Backend& backend, const Rights& rights,
                                                             const v1::ListTasksRequest& request);

}  // namespace poold::engine
