// Starting a process and reaping it, through Boost.Process v2. The one place that knows that library; what a
// process is for is decided by its callers, and waiting for its end is child.hpp's part.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/seqpacket.hpp"
#include "daemon/supervisor/program.hpp"

namespace poold::supervisor {

struct ProcessPlan {
  std::string path;  // executed as it is
  std::vector<std::string> argv;
  Environment environment;
  std::string cwd;  // empty: the supervisor's
  std::vector<int>
      descriptors;  // entry n becomes the child's descriptor n; it gets no others. At most descriptors_max
  bool dies_with_parent = false;     // SIGKILL when the supervisor is gone
  std::optional<rlimit> open_files;  // the limit that the child gets, where it is not the supervisor's own
  // As configured for a pool; what is not there stays the supervisor's own.
  std::vector<settings::ResourceLimit> limits;
  std::optional<int> nice;
  std::optional<std::uint32_t> umask;
  std::optional<settings::Account> account;
};
inline constexpr std::size_t descriptors_max = 9;
// An entry for a number that is to be closed in the child.
inline constexpr int no_descriptor = -2;

struct ExitReport {
  bool signaled = false;
  int code = 0;  // exit code, or signal
  bool core_dumped = false;
  std::int64_t user_us = 0;
  std::int64_t system_us = 0;
  std::uint32_t max_rss_kib = 0;
};
// "exited with code 3", "was killed by signal 11 (Segmentation fault), core dumped"
std::string to_string(const ExitReport& report);

// A child of ours, from its start until it is reaped; its pid stays taken until then. Nobody else reaps it:
// Boost.Process has let go of it. Destroying a process that was not reaped kills it and waits for its end.
class Process {
 public:
  Process(pid_t pid, FileDescriptor pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Process(Process&&) noexcept = default;
  Process& operator=(Process&&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  // To the process alone. A process that has ended already is no error.
  void signal(int number) const;
  // How it ended, once it has; leaves the zombie.
  std::optional<ExitReport> peek() const;
  // Takes the zombie away; only after peek() has answered. Nothing but pid() can be asked afterwards.
  void reap();

 private:
  pid_t pid_;
  FileDescriptor pidfd_;  // invalid once reaped
};

// Returns when the child has become its program. The child is the leader of its own session, has default
// dispositions and an empty signal mask.
std::variant<Process, StartError> spawn(const ProcessPlan& plan);

}  // namespace poold::supervisor
