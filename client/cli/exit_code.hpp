// poolctl's exit codes, and what becomes which.
#pragma once

#include "client/cpp/poold/error.hpp"
#include "client/cpp/poold/task.hpp"

namespace poold::cli {

enum ExitCode : int {
  exit_ok = 0,
  exit_failed = 1,  // a task failed that has no code of its own
  exit_usage = 2,   // the command line, or a request the daemon finds wrong
  exit_not_found = 3,
  exit_permission = 4,
  exit_unreachable = 5,  // no daemon
  exit_wrong_state = 6,  // also a key used for another payload
  exit_refused = 7,      // full, a limit, or not built
  exit_internal = 70,    // the daemon or poolctl is broken
  exit_try_again = 75,
  exit_timed_out = 124,  // as timeout(1)
  exit_run_error =
      125,  // `run`: poolctl or the daemon failed, not the command; as env(1), nohup(1), timeout(1)
  exit_not_executable = 126,
  exit_command_not_found = 127,
  exit_signal_base = 128,  // plus the signal
};

// For every verb but run, which turns all of these into exit_run_error.
int exit_code_of(const Error& error);

// The code with which a shell would tell this outcome: a command's own, 128 + signal, 124 where a time limit
// ended it.
int exit_code_of_command(const Outcome& outcome);
// A function's: 0 or 1.
int exit_code_of_function(const Outcome& outcome);

}  // namespace poold::cli
