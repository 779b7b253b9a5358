// Runs one command at a time, from its task to its result: starts it, takes its output, ends it when asked,
// reaps it, and sees to what it leaves behind. What it has to say goes to the outbox. Does not wait for
// anything: command_worker.cpp calls when something happened.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/cpp/src/worker_channel.hpp"
#include "common/seqpacket.hpp"
#include "daemon/worker/command_line.hpp"
#include "daemon/worker/memory_events.hpp"
#include "daemon/worker/running_command.hpp"
#include "daemon/worker/spawn.hpp"
#include "daemon/worker/stragglers.hpp"
#include "poold/v1/worker.pb.h"

namespace poold::worker {

class CommandRunner {
 public:
  // `null` is /dev/null, open for reading and writing.
  CommandRunner(std::string pool, FileDescriptor null, Outbox& outbox);

  void configure(const v1::WorkerWelcome& welcome);

  // Nothing may be running. Afterwards the command runs, or its result is in the outbox.
  void start(const v1::WorkerTask& task);
  bool running() const { return running_.has_value(); }
  bool running(std::uint64_t task, std::uint32_t attempt) const;
  std::optional<std::uint64_t> running_task() const {
    return running_ ? std::optional(running_->task) : std::nullopt;
  }

  // For the running command, if there is one.
  void cancel() { cancel(grace_); }
  void cancel(Clock::duration grace);
  void signal(int number);

  // To be polled for input; -1 if there is nothing to wait for.
  int output(LogStream stream) const;
  void take_output(LogStream stream);

  // A child has ended.
  void reap();
  // Time has passed.
  void kill_due(Clock::time_point now);
  std::optional<Clock::time_point> next_kill() const;

  // Nobody else sees to the time limits of what runs.
  void keep_time() { keeps_time_ = true; }
  // Nobody is left who would wait for stragglers.
  void abandon();
  // Nothing runs, and nothing that ran has left anybody who may still end by himself.
  bool idle() const { return !running_ && stragglers_.empty(); }

 private:
  bool set_input(const v1::Command& command, FileDescriptor& memory);
  std::optional<int> set_output(const v1::WorkerTask& task, std::optional<Capture>& capture);
  void refuse(int errno_value, std::string_view what);
  v1::Outcome& begin_result(std::uint64_t task, std::uint32_t attempt);
  void log_created();
  void command_ended(int status, const rusage& used);

  Outbox& outbox_;
  CommandLine line_;
  Spawner spawner_;
  Program program_;
  MemoryEvents memory_events_;
  FileDescriptor null_;
  std::vector<char> buffer_;
  v1::FromWorker reply_;
  std::optional<RunningCommand> running_;
  Stragglers stragglers_;
  bool abandoned_ = false;
  bool keeps_time_ = false;
  // From the welcome.
  std::string log_directory_;
  std::uint64_t log_size_ = 0;
  Clock::duration grace_{};
};

}  // namespace poold::worker
