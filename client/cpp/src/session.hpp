// Killing one's own session: what a worker does when its supervisor is gone, so that nothing of poold's
// outlives it.
#pragma once

namespace poold::worker {

// Sends SIGKILL to every other process of the calling process's session, again and again until none is left
// alive (or 500 ms have passed: a process that the kernel holds), then ends this process with that exit code.
// Does nothing to others unless the caller leads its session: a worker that somebody started in a terminal
// must not take the terminal along.
[[noreturn]] void end_with_session(int exit_code);

}  // namespace poold::worker
