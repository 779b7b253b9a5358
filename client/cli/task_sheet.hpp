// Everything about a task for people, as `show` prints it.
#pragma once

#include <string>

#include "client/cli/table.hpp"
#include "poold/v1/task.pb.h"

namespace poold::cli {

std::string task_sheet(const v1::Task& task, const Screen& screen);

}  // namespace poold::cli
