// From a TaskSpec to the core's Submit: checks every field against its limit, and finds the pool.
#pragma once

#include <optional>
#include <variant>

#include "daemon/engine/control/backend.hpp"
#include "daemon/engine/io/limits.hpp"
#include "daemon/engine/io/plain_frames.hpp"
#include "daemon/engine/store/task_memory.hpp"
#include "poold/v1/task.pb.h"

namespace poold::engine {

inline constexpr int labels_max = 64;
// What the kernel takes for one argument or variable (MAX_ARG_STRLEN), its final zero byte included, and for
// all together at the usual stack limit.
inline constexpr std::size_t argument_bytes_max = 128 * 1024;
inline constexpr std::size_t arguments_bytes_max = 2 * 1024 * 1024;

// Everything but client and tag is filled in. The error names the field.
// `rights`: it waits only for tasks that the caller may see. `memory`: of a payload in shared memory.
std::variant<core::Submit, ConnectError> make_submission(Backend& backend, const v1::TaskSpec& spec,
                                                         std::uint32_t uid, const Rights& rights,
                                                         std::shared_ptr<TaskMemory> memory = nullptr);

// The same for a plain one. `hint` is the pool that was found last; it is tried first.
std::variant<core::Submit, ConnectError> make_submission(Backend& backend, const PlainSubmit& plain,
                                                         std::uint32_t uid, core::PoolIndex& hint);

// It asks to wait rather than to be refused, and there is no room for it now.
bool has_to_wait(const Backend& backend, const v1::TaskSpec& spec, const core::Submit& submission);

// Why the core refused, in the contract's words.
ConnectError explain(const Backend& backend, const core::Refused& refused);

}  // namespace poold::engine
