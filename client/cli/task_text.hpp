// A task's fields as people read them, shared by ps, show and wait. Everything that comes from outside is
// escaped here.
#pragma once

#include <string>

#include "client/cli/table.hpp"
#include "client/cpp/poold/task.hpp"
#include "poold/v1/task.pb.h"

namespace poold::cli {

Cell state_cell(const v1::Task& task);
Cell state_cell(TaskState state);
// "exited with 7"; empty while the task has not ended.
std::string outcome_text(const v1::Task& task);
// Since it was submitted, and how long its last attempt has taken.
std::string age_text(const v1::Task& task, Time now);
std::string run_time_text(const v1::Task& task, Time now);
// "2024-05-01 12:00:00.123 UTC (3m05s ago)"
std::string time_text(const google::protobuf::Timestamp& stamp, Time now);
// The command line, quoted for a shell, or the call.
std::string work_text(const v1::Task& task);
// "2024-05-01T12:00:00.123Z"
std::string stamp_text(const google::protobuf::Timestamp& stamp);
// "K=V, K=V"
std::string labels_text(const google::protobuf::Map<std::string, std::string>& labels);

// What a task that ended means for an exit code.
int exit_code_of_task(const v1::Task& task);

}  // namespace poold::cli
