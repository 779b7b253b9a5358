#include "daemon/supervisor/session.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <csignal>
#include <fstream>

#include "daemon/supervisor/child.hpp"
#include "tests/unit/supervisor/temporary_directory.hpp"

namespace poold::supervisor {
namespace {

// A shell as the worker; what it starts prints its pid, and the test goes on when all of them have.
struct SessionTest : testing::Test {
  OwnChildren own;
  boost::asio::io_context io{1};
  std::optional<ExitReport> gone;
  std::shared_ptr<Child> child;
  std::vector<pid_t> pids;  // as printed

  void SetUp() override { ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0); }
  void TearDown() override {
    child.reset();
    reap_strangers(own);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child was left";
    EXPECT_TRUE(own.empty());
  }

  void start(const std::string& script, std::size_t processes) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const FileDescriptor output(ends[0]);
    FileDescriptor input(ends[1]);
    const FileDescriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    ProcessPlan plan;
    plan.path = "/bin/sh";
    plan.argv = {"sh", "-c", script + "\necho $$; exec sleep 1000"};
    plan.environment = {"PATH=/usr/bin:/bin"};
    plan.descriptors = {null.get(), input.get(), STDERR_FILENO};
    auto started = Child::start(io, own, plan);
    input.reset();
    ASSERT_TRUE(std::holds_alternative<std::shared_ptr<Child>>(started))
        << std::get<StartError>(started).message;
    child = std::get<std::shared_ptr<Child>>(started);
    child->watch(nullptr, [this](const ExitReport& report) {
      gone = report;
      io.stop();
    });
    std::string line;
    bool leader = false;
    char byte;
    while (!(leader && pids.size() == processes) && ::read(output.get(), &byte, 1) == 1) {
      if (byte != '\n') {
        line += byte;
        continue;
      }
      const pid_t pid = std::stoi(line);
      if (pid == child->pid())
        leader = true;
      else
        pids.push_back(pid);
      line.clear();
    }
    ASSERT_EQ(pids.size(), processes);
  }

  void kill_and_wait() {
    child->signal(SIGKILL);
    io.run_for(std::chrono::seconds(30));
    ASSERT_TRUE(gone) << "the worker was not reported";
  }

  static bool alive(pid_t pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(stat, line);
    return !line.empty() && line[line.rfind(')') + 2] != 'Z';
  }
};

TEST_F(SessionTest, WorkerAloneIsReportedWithItsSignal) {
  start("", 0);
  kill_and_wait();
  EXPECT_TRUE(gone->signaled);
  EXPECT_EQ(gone->code, SIGKILL);
}

TEST_F(SessionTest, ItsChildrenAreGoneWhenTheDeathIsReported) {
  start("sleep 1000 & echo $!; sleep 1000 & echo $!", 2);
  kill_and_wait();
  for (const pid_t pid : pids) EXPECT_FALSE(alive(pid)) << pid;
}

TEST_F(SessionTest, GrandchildrenInTheirOwnProcessGroupsGoToo) {
  start("sh -c 'echo $$; set -m; sh -c \"echo \\$\\$; sleep 1000 & echo \\$!; wait\" & wait' &", 3);
  kill_and_wait();
  for (const pid_t pid : pids) EXPECT_FALSE(alive(pid)) << pid;
}

TEST_F(SessionTest, MemberBelowAProcessThatLeftTheSessionIsFound) {
  // A process starts a child, which stays in the session, and then leaves it by becoming another session's
  // leader.
  start(R"(python3 -c '
import os
if os.fork() == 0:
    os.execvp("sh", ["sh", "-c", "echo $$; exec sleep 1000"])
os.setsid()
print(os.getpid(), flush=True)
os.execvp("sleep", ["sleep", "1000"])
' &)",
        2);
  kill_and_wait();
  const bool first_left = alive(pids[0]);
  const pid_t escaped = pids[first_left ? 0 : 1];
  EXPECT_FALSE(alive(pids[first_left ? 1 : 0]));
  // The one that left the session lives on: the documented gap.
  EXPECT_TRUE(alive(escaped));
  ASSERT_GT(escaped, 0);
  ::kill(escaped, SIGKILL);
  EXPECT_EQ(::waitpid(escaped, nullptr, 0), escaped);
}

TEST_F(SessionTest, OtherWorkersAreNotTouched) {
  start("sleep 1000 & echo $!", 1);
  const std::shared_ptr<Child> first = std::exchange(child, nullptr);
  const std::vector<pid_t> of_first = std::exchange(pids, {});
  start("sleep 1000 & echo $!", 1);
  kill_and_wait();
  for (const pid_t pid : of_first) EXPECT_TRUE(alive(pid));
  for (const pid_t pid : pids) EXPECT_FALSE(alive(pid));
  gone.reset();
  io.restart();
  child = first;
  kill_and_wait();
  for (const pid_t pid : of_first) EXPECT_FALSE(alive(pid));
}

TEST_F(SessionTest, ManyChildrenThatForkWhileTheyAreKilled) {
  start("i=0; while [ $i -lt 40 ]; do (while :; do /bin/true; done) & i=$((i+1)); done", 0);
  kill_and_wait();
  reap_strangers(own);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST_F(SessionTest, StrangersAreReapedAndOwnChildrenAreNot) {
  start("", 0);
  std::vector<pid_t> strangers(2);
  for (pid_t& pid : strangers)
    if ((pid = ::fork()) == 0) ::_exit(3);
  siginfo_t info{};
  for (const pid_t pid : strangers)
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  child->signal(SIGKILL);
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child->pid()), &info, WEXITED | WNOWAIT), 0);
  reap_strangers(own);
  for (const pid_t pid : strangers) EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), -1);
  io.run_for(std::chrono::seconds(30));
  EXPECT_TRUE(gone);
}

}  // namespace
}  // namespace poold::supervisor
