// A whole daemon in a temporary directory: the real poold, the stub engine as poold-engine, and a shell
// script as poold-worker.
//
// A test gives orders to the stub engine and reads, line by line, what the supervisor sent to it; every wait
// is for an event and has a limit.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "common/seqpacket.hpp"
#include "tests/unit/supervisor/temporary_directory.hpp"

namespace poold::supervisor {

// Far more than any event takes, on a busy machine and under sanitizers too.
inline constexpr int limit_ms = 30'000;

// Lines out of a descriptor, with a limit to every wait.
class LineReader {
 public:
  explicit LineReader(FileDescriptor descriptor) : descriptor_(std::move(descriptor)) {}
  int descriptor() const { return descriptor_.get(); }
  // "<end>" at end of file, "<nothing>" when the limit has passed.
  std::string next(int wait_ms = limit_ms);
  // The next line with this text in it; those before it are passed over.
  std::string find(const std::string& text);

 private:
  FileDescriptor descriptor_;
  std::string buffer_;
};

// Of "pid=12", the 12.
int number_in(const std::string& line, const std::string& name);
// True once the process has ended, which is waited for.
bool ends(pid_t pid, int wait_ms = limit_ms);

class Daemon {
 public:
  Daemon(const TemporaryDirectory& directory, std::vector<std::string> options);
  ~Daemon();
  pid_t pid() const { return pid_; }
  void signal(int number) const;
  // Its exit code, or minus the signal that ended it. Waits.
  int wait();
  LineReader log;

 private:
  pid_t pid_ = -1;
};

class DaemonTest : public testing::Test {
 protected:
  DaemonTest();
  void TearDown() override;

  // With the configuration file, a socket and a state directory in the test's directory.
  void start();
  std::unique_ptr<Daemon> start_another(const std::vector<std::string>& options) const;
  // Starts the daemon, connects to its first engine, reads the welcome.
  void start_and_connect();
  // To the engine that is there, or to the next one.
  void connect();
  void order(const std::string& line);
  // The next line from the engine; the test fails unless it begins so.
  std::string expect(const std::string& beginning);
  // Proves by a round trip that the engine was sent nothing else so far.
  void expect_nothing_else();
  // Ends the daemon in the regular way and proves that it took everything along.
  void stop_cleanly();

  std::string socket_path() const { return directory / "run/control.sock"; }
  std::string state_directory() const { return directory / "state"; }

  const TemporaryDirectory directory;
  std::string configuration;
  std::unique_ptr<Daemon> daemon;
  std::unique_ptr<LineReader> engine;
};

}  // namespace poold::supervisor
