#include "client/cli/exit_code.hpp"

#include <signal.h>

#include <cstdlib>

namespace poold::cli {

int exit_code_of(const Error& error) {
  if (dynamic_cast<const Unreachable*>(&error) && error.code() == Code::unavailable) return exit_unreachable;
  switch (error.code()) {
    case Code::ok:
      return exit_ok;
    case Code::invalid_argument:
    case Code::out_of_range:
      return exit_usage;
    case Code::not_found:
      return exit_not_found;
    case Code::permission_denied:
    case Code::unauthenticated:
      return exit_permission;
    case Code::failed_precondition:
    case Code::already_exists:
    case Code::aborted:
    case Code::canceled:
      return exit_wrong_state;
    case Code::resource_exhausted:
    case Code::unimplemented:
      return exit_refused;
    case Code::unavailable:
      return exit_try_again;
    case Code::deadline_exceeded:
      return exit_timed_out;
    case Code::unknown:
    case Code::internal:
    case Code::data_loss:
      return exit_internal;
  }
  std::abort();
}

int exit_code_of_command(const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::exited:
      return outcome.exit_code.value_or(0);
    case Outcome::Kind::returned:
      return exit_ok;
    case Outcome::Kind::raised:
      return exit_failed;
    case Outcome::Kind::signaled:
      return exit_signal_base + outcome.signal.value_or(SIGKILL);
    case Outcome::Kind::timed_out:
    case Outcome::Kind::expired:
      return exit_timed_out;
    case Outcome::Kind::out_of_memory:
      return exit_signal_base + outcome.signal.value_or(SIGKILL);
    case Outcome::Kind::worker_lost:
      return outcome.signal ? exit_signal_base + *outcome.signal : static_cast<int>(exit_run_error);
    case Outcome::Kind::cancelled:
      // Never 0, even where the command caught its SIGTERM and ended well: nobody has its result.
      if (outcome.signal) return exit_signal_base + *outcome.signal;
      if (outcome.exit_code.value_or(0) != 0) return *outcome.exit_code;
      return exit_signal_base + SIGTERM;
    case Outcome::Kind::rejected:
    case Outcome::Kind::unspecified:
      return exit_run_error;
  }
  std::abort();
}

int exit_code_of_function(const Outcome& outcome) { return outcome.succeeded() ? exit_ok : exit_failed; }

}  // namespace poold::cli
