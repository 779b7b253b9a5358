// The public values of task.hpp <-> the messages of task.proto and tasks.proto. Private to libpoold and
// poolctl: the public headers know no protobuf.
#pragma once

#include "client/cpp/poold/task.hpp"
#include "poold/v1/task.pb.h"
#include "poold/v1/tasks.pb.h"

namespace poold {

// Numbers that a newer daemon may send count as unspecified.
TaskState task_state(int number);
Outcome::Kind outcome_kind(int number);

Outcome from_proto(const v1::Outcome& proto);
TaskInfo from_proto(const v1::Task& proto);
GroupInfo from_proto(const v1::Group& proto);
Command from_proto(const v1::Command& proto);
Function from_proto(const v1::Function& proto);
std::chrono::nanoseconds from_proto(const google::protobuf::Duration& proto);
Time from_proto(const google::protobuf::Timestamp& proto);

// Each throws std::invalid_argument, naming the field, for what the protocol cannot carry.
void to_proto(const Command& command, v1::Command& proto);
void to_proto(const Function& function, v1::Function& proto);
void to_proto(const SubmitOptions& options, v1::TaskSpec& proto);
void to_proto(const Selector& selector, v1::Selector& proto);
void to_proto(Time time, google::protobuf::Timestamp& proto);
void to_proto(std::chrono::nanoseconds duration, google::protobuf::Duration& proto);

}  // namespace poold
