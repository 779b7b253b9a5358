// Payloads in shared memory as clients see them: what they may send, and what they get who cannot take a
// descriptor.
#pragma once

#include <memory>
#include <optional>

#include "daemon/engine/control/backend.hpp"
#include "daemon/engine/store/task_memory.hpp"
#include "poold/v1/task.pb.h"

namespace poold::engine {

// Makes ready what a stream submits: the memory becomes the task's, or, in a pool that does not share memory,
// bytes in the frame. Else the error.
std::optional<ConnectError> take_argument(Backend& backend, v1::TaskSpec& spec, FileDescriptor memory,
                                          std::uint32_t uid, std::shared_ptr<TaskMemory>& kept);

// Puts the bytes into the payload, in place of its size. False: a frame does not take as many.
bool copy_payload(const FileDescriptor& memory, v1::Payload& payload);

// Whether this task cannot run again because what it was to run with is closed.
bool argument_is_gone(const core::Task& task);

// Why this result cannot be had: in words for clients.
ConnectError memory_complaint(std::uint64_t size, bool delivered);

// For calls, which carry no descriptor: bytes in place of shared memory, or why not. `copy`: false for those
// with many tasks.
void show_shared_result(const Record& record, bool copy, v1::Outcome& outcome);

}  // namespace poold::engine
