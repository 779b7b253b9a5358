// The public values' own behaviour: encoding a submission, telling an outcome in words.
#include "client/cpp/poold/task.hpp"

#include <signal.h>

#include <cstdlib>
#include <stdexcept>

#include "client/cpp/src/shared_payload.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "common/frame.hpp"

namespace poold {
namespace {

// What a frame has besides the task: its tag, flags and the lengths around it.
constexpr std::size_t submit_overhead_max = 64;

std::string encode(const v1::TaskSpec& proto) {
  std::string bytes = proto.SerializeAsString();
  if (bytes.size() > frame_payload_max - submit_overhead_max)
    throw std::invalid_argument("the task is longer than 16 MiB");
  return bytes;
}

Code code_of(const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::cancelled:
      return Code::canceled;
    case Outcome::Kind::timed_out:
    case Outcome::Kind::expired:
      return Code::deadline_exceeded;
    case Outcome::Kind::out_of_memory:
      return Code::resource_exhausted;
    case Outcome::Kind::rejected:
      return Code::invalid_argument;
    case Outcome::Kind::unspecified:
    case Outcome::Kind::exited:
    case Outcome::Kind::returned:
    case Outcome::Kind::raised:
    case Outcome::Kind::signaled:
    case Outcome::Kind::worker_lost:
      return Code::unknown;
  }
  std::abort();
}

std::string signal_text(int number) {
  const char* name = ::sigabbrev_np(number);
  return "signal " + std::to_string(number) + (name ? std::string(" SIG") + name : std::string());
}

// The way the process ended, in brackets; empty if nothing is known.
std::string exit_text(const Outcome& outcome) {
  if (outcome.signal)
    return " (" + signal_text(*outcome.signal) + (outcome.core_dumped ? ", core dumped)" : ")");
  if (outcome.exit_code) return " (exit code " + std::to_string(*outcome.exit_code) + ")";
  return {};
}

std::string error_text_of(const Outcome& outcome) {
  if (!outcome.error) return {};
  const TaskError& error = *outcome.error;
  if (error.type.empty() || error.message.empty()) return error.type + error.message;
  return error.type + ": " + error.message;
}

std::string with_error(std::string text, const Outcome& outcome) {
  const std::string error = error_text_of(outcome);
  return error.empty() ? text : text + ": " + error;
}

}  // namespace

TaskSpec::TaskSpec(const Command& command, const SubmitOptions& options)
    : waits_for_room_(options.wait_for_room) {
  v1::TaskSpec proto;
  to_proto(options, proto);
  to_proto(command, *proto.mutable_command());
  bytes_ = encode(proto);
}

TaskSpec::TaskSpec(const Function& function, const SubmitOptions& options)
    : waits_for_room_(options.wait_for_room) {
  v1::TaskSpec proto;
  to_proto(options, proto);
  to_proto(function, *proto.mutable_function());
  bytes_ = encode(proto);
  if (!function.payload || !function.payload->shared) return;
  shared_ = function.payload->shared;
  shared_->inside().seal();
}

std::string describe(const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::unspecified:
      return "ended in a way this version does not know";
    case Outcome::Kind::exited:
      return with_error("exited with " + std::to_string(outcome.exit_code.value_or(0)), outcome);
    case Outcome::Kind::returned:
      return "returned";
    case Outcome::Kind::raised:
      return outcome.error ? error_text_of(outcome) : "raised an exception";
    case Outcome::Kind::signaled:
      return "killed by " + signal_text(outcome.signal.value_or(0)) +
             (outcome.core_dumped ? " (core dumped)" : "");
    case Outcome::Kind::timed_out:
      return "timed out" + exit_text(outcome);
    case Outcome::Kind::out_of_memory:
      return "out of memory" + exit_text(outcome);
    case Outcome::Kind::worker_lost:
      return with_error("worker lost" + exit_text(outcome), outcome);
    case Outcome::Kind::cancelled:
      return "cancelled" + exit_text(outcome);
    case Outcome::Kind::expired:
      return "expired before it could start";
    case Outcome::Kind::rejected:
      return with_error("rejected by the worker", outcome);
  }
  std::abort();
}

RemoteError::RemoteError(Outcome outcome)
    : Error(code_of(outcome), describe(outcome)),
      outcome_(std::make_shared<const Outcome>(std::move(outcome))) {}

}  // namespace poold
