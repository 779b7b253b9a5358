// Dedicated processes as clients see them. Each is a task in a pool of its own, of one slot, named after the
// pool that it is a process of and a number.
#pragma once

#include <string>

#include "daemon/engine/control/backend.hpp"
#include "daemon/engine/control/task_message.hpp"
#include "poold/v1/processes.pb.h"

namespace poold::engine {

// Is this task a dedicated process?
bool is_process(const Backend& backend, const core::Task& task);
// The pool that it is a process of.
std::string base_of(const Backend& backend, const core::Task& task);
void fill_process(const Backend& backend, const Found& found, v1::Process& message);

// process_start.cpp
void start_process(Backend& backend, const std::shared_ptr<class Call>& call,
                   const v1::StartProcessRequest& request);

}  // namespace poold::engine
