// A command that has been started, from its process to its outcome.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>

#include "common/seqpacket.hpp"
#include "daemon/worker/capture.hpp"
#include "daemon/worker/stragglers.hpp"
#include "poold/v1/worker.pb.h"

namespace poold::worker {

struct RunningCommand {
  std::uint64_t task = 0;
  std::uint32_t attempt = 0;
  pid_t pid = 0;  // and its process group
  Clock::time_point started_at;
  std::optional<Capture> capture;  // absent where no output is kept
  // Somebody asked for its end. The group gets SIGKILL at kill_at if it is still there, and then kill_at is
  // empty again.
  bool cancelled = false;
  std::optional<Clock::time_point> kill_at;
  // When its time is over, and how long it then has; looked at only while no engine does.
  std::optional<Clock::time_point> limit_at;
  std::optional<Clock::duration> grace;
  bool timed_out = false;

  void cancel(Clock::time_point kill_time);
  void kill_if_due(Clock::time_point now);
};

// What the end of the first process means; `status` and `used` are from wait4. Out of memory is for the
// caller to know.
void set_end(v1::Outcome& outcome, const RunningCommand& command, int status, const rusage& used,
             Clock::time_point now);

}  // namespace poold::worker
