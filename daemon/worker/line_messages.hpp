// A worker's messages as lines: proto-JSON, one object a line. Checks what can be seen from one line alone;
// whether it fits to what went before is lines_worker.cpp's business.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "common/frame.hpp"
#include "poold/v1/worker.pb.h"

namespace poold::worker {

// Of a program's lines. What a frame carries fits into a line, but for text that is all escapes.
inline constexpr std::size_t line_size_max = frame_payload_max;

// With its end. Fields that have their default are left out, so that a shell finds what it looks for.
std::string to_line(const v1::ToWorker& message);

// What the line says, or what is wrong with it, as in "it printed …: not JSON at byte 1: syntax error".
std::variant<v1::FromWorker, std::string> from_line(std::string_view line);

// An outcome with what a function's may have and nothing else. `RETURNED` without a value returns null.
// The complaint if this is no outcome of a function.
std::variant<v1::Outcome, std::string> function_outcome(v1::Outcome&& said);

}  // namespace poold::worker
