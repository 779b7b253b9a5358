// Why a task does not run, as explain and top say it: the daemon's sentence, and how long it is until then.
#pragma once

#include <string>

#include "client/cpp/poold/task.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::cli {

// Escaped: "it is not due before 2030-01-31T12:00:00Z (in 59m58s)".
std::string reason_text(const v1::ExplainResponse::Reason& reason, Time now);

}  // namespace poold::cli
