// What Client and Stream share when they have lost the daemon: waiting for it, and what can be said of tasks
// that were on their way.
#pragma once

#include <string>
#include <string_view>

#include "client/cpp/src/frame_stream.hpp"
#include "client/cpp/src/outage.hpp"

namespace poold {

inline constexpr std::string_view unknown_if_accepted =
    ": whether the task was accepted is not known, and without a key it cannot be submitted again safely";

// Whether this encoded TaskSpec has a key, by which its task is found again.
bool has_key(std::string_view task_spec);

// Throws Unreachable where the daemon has stayed away for too long; `reason` is the last try's.
void pause(Outage& outage, const std::string& reason);
[[noreturn]] void throw_stayed_away(const Outage& outage, const std::string& reason);

// A stream to the daemon that is back. Throws as pause(), or Error where it refuses.
FrameStream connect_within(Outage& outage, const FrameStream::Options& options, std::string reason);

}  // namespace poold
