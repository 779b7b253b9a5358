// A real poold-worker with the test in the engine's and the supervisor's place: it holds the other ends of
// the pipes and of the lifeline.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/frame.hpp"
#include "common/seqpacket.hpp"
#include "poold/v1/worker.pb.h"

namespace poold::test {

class WorkerProcess {
 public:
  // Starts it in a session of its own, as generation 3 of slot 1 of pool "p". Its stderr is kept.
  explicit WorkerProcess(const std::vector<std::string>& arguments, const char* program = WORKER_PROGRAM);
  // Kills the session.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;

  pid_t pid() const { return pid_; }

  void send(const v1::ToWorker& message) { send_bytes(framed(message)); }
  void send_bytes(std::string_view bytes);
  static std::string framed(const v1::ToWorker& message);

  // The next message. Fails the test, and returns an empty one, at the pipe's end or after 20 s.
  v1::FromWorker receive();
  v1::WorkerResult receive_result();
  // Everything that comes until the worker closes its end, or 20 s.
  std::vector<v1::FromWorker> receive_all();

  void end_tasks() { tasks_.reset(); }
  void end_lifeline() { lifeline_.reset(); }
  void stop_reading() { results_.reset(); }

  // The wait status; -1 after 20 s.
  int wait();
  std::string errors();
  // Living processes of the worker's session, itself included.
  std::vector<pid_t> session() const;
  // Whether all of its session is gone before 1 s has passed.
  bool session_ends_within_a_second() const;

 private:
  bool fill();

  pid_t pid_ = -1;
  bool reaped_ = false;
  FileDescriptor tasks_;
  FileDescriptor results_;
  FileDescriptor lifeline_;
  FileDescriptor errors_;
  FrameReader reader_;
};

v1::ToWorker welcome(const std::string& log_directory, std::uint64_t log_size, int grace_ms);
v1::ToWorker command(std::uint64_t task, const std::vector<std::string>& argv);
v1::ToWorker function(std::uint64_t task, const std::string& name, const std::string& json_arguments = "[]",
                      const std::string& json_keywords = "{}");
v1::ToWorker cancel(std::uint64_t task);
v1::ToWorker send_signal(std::uint64_t task, int signal);
v1::ToWorker give_back(const std::vector<std::uint64_t>& tasks);
v1::ToWorker stop();

}  // namespace poold::test
