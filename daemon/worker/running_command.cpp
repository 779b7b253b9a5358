#include "daemon/worker/running_command.hpp"

#include <sys/wait.h>

#include <csignal>

namespace poold::worker {
namespace {

void set(google::protobuf::Duration& out, Clock::duration duration) {
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
  out.set_seconds(ns / 1'000'000'000);
  out.set_nanos(static_cast<std::int32_t>(ns % 1'000'000'000));
}

void set(google::protobuf::Duration& out, const timeval& time) {
  out.set_seconds(time.tv_sec);
  out.set_nanos(static_cast<std::int32_t>(time.tv_usec * 1000));
}

}  // namespace

void RunningCommand::cancel(Clock::time_point kill_time) {
  if (cancelled) return;
  cancelled = true;
  kill_at = kill_time;
  ask_group_to_end(pid);
}

void RunningCommand::kill_if_due(Clock::time_point now) {
  if (!kill_at || *kill_at > now) return;
  kill_at.reset();
  ::kill(-pid, SIGKILL);
}

void set_end(v1::Outcome& outcome, const RunningCommand& command, int status, const rusage& used,
             Clock::time_point now) {
  if (WIFSIGNALED(status)) {
    outcome.set_kind(v1::Outcome::SIGNALED);
    outcome.set_signal(WTERMSIG(status));
    outcome.set_core_dumped(WCOREDUMP(status));
  } else {
    outcome.set_kind(v1::Outcome::EXITED);
    outcome.set_exit_code(WEXITSTATUS(status));
  }
  if (command.cancelled)
    outcome.set_kind(command.timed_out ? v1::Outcome::TIMED_OUT : v1::Outcome::CANCELLED);
  v1::Usage& usage = *outcome.mutable_usage();
  set(*usage.mutable_wall(), now - command.started_at);
  set(*usage.mutable_user(), used.ru_utime);
  set(*usage.mutable_system(), used.ru_stime);
  usage.set_max_rss_kib(static_cast<std::uint32_t>(used.ru_maxrss));
}

}  // namespace poold::worker
