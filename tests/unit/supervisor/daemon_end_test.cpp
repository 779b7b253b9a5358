// How a daemon ends, and what refuses to start.
#include <sys/wait.h>

#include <chrono>
#include <csignal>

#include "tests/unit/supervisor/daemon_fixture.hpp"

namespace poold::supervisor {
namespace {

TEST_F(DaemonTest, SigtermLetsTheEngineDrainAndThenEndsWhatIsLeft) {
  start_and_connect();
  order("start default 0");
  const pid_t worker = number_in(expect("started default/0/1 "), "pid");
  daemon->signal(SIGTERM);
  expect("stop now=0 timeout=7000");
  order("stopped");
  order("exit 0");
  EXPECT_EQ(daemon->wait(), 0);
  EXPECT_TRUE(ends(worker, 0));
  EXPECT_FALSE(std::filesystem::exists(socket_path()));
  start_and_connect();  // nothing is locked any more
  stop_cleanly();
}

TEST_F(DaemonTest, SecondSigtermEndsEverythingAtOnce) {
  start_and_connect();
  order("start default 0");
  const pid_t worker = number_in(expect("started default/0/1 "), "pid");
  daemon->signal(SIGTERM);
  expect("stop now=0");
  daemon->signal(SIGTERM);
  EXPECT_EQ(daemon->wait(), 0);
  EXPECT_TRUE(ends(worker, 0));
}

TEST_F(DaemonTest, ClientsStopRequestComesBackToTheEngine) {
  start_and_connect();
  order("stop 0 1500");
  expect("stop now=0 timeout=1500");
  order("stop 1 0");
  expect("stop now=1 timeout=0");
  order("stopped");
  order("exit 0");
  EXPECT_EQ(daemon->wait(), 0);
}

TEST_F(DaemonTest, EngineThatDiesWhileStoppingIsNotReplaced) {
  start_and_connect();
  daemon->signal(SIGINT);
  expect("stop now=0");
  order("crash");
  EXPECT_EQ(daemon->wait(), 0);
}

TEST_F(DaemonTest, SigtermBeforeAnEngineIsReadyEndsAtOnce) {
  start_and_connect();
  order("unready");
  expect("noted");
  order("crash");
  EXPECT_EQ(engine->next(), "<end>");
  connect();
  expect("welcome ");
  daemon->signal(SIGTERM);
  EXPECT_EQ(daemon->wait(), 0);
}

TEST_F(DaemonTest, KilledSupervisorLeavesNothingBehind) {
  configuration += "  own: {kind: function, program: [sleep, \"1000\"], workers: 1}\n";
  start();
  daemon->log.find("ready: socket");
  connect();
  const pid_t engine_pid = number_in(expect("welcome "), "pid");
  order("start default 0");
  const pid_t worker = number_in(expect("started default/0/1 "), "pid");
  order("start own 0");
  const pid_t program = number_in(expect("started own/0/1 "), "pid");
  daemon->signal(SIGKILL);
  EXPECT_EQ(daemon->wait(), -SIGKILL);
  EXPECT_TRUE(ends(engine_pid, 1'000));
  EXPECT_TRUE(ends(worker, 1'000));
  EXPECT_TRUE(ends(program, 1'000));
  const auto before = std::chrono::steady_clock::now();
  start_and_connect();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
  stop_cleanly();
}

TEST_F(DaemonTest, SecondDaemonIsRefusedWithThePidAndTheFirstGoesOn) {
  start_and_connect();
  const std::string owner = "belongs to another poold, process " + std::to_string(daemon->pid());
  auto same_socket = start_another({"--socket", socket_path(), "--state-dir", directory / "other"});
  EXPECT_EQ(same_socket->wait(), 1);
  EXPECT_EQ(same_socket->log.next(), "poold: socket " + socket_path() + " " + owner);
  EXPECT_EQ(same_socket->log.next(), "<end>");
  auto same_state = start_another({"--socket", directory / "other.sock", "--state-dir", state_directory()});
  EXPECT_EQ(same_state->wait(), 1);
  EXPECT_EQ(same_state->log.next(), "poold: state directory " + state_directory() + " " + owner);
  expect_nothing_else();
  stop_cleanly();
}

TEST_F(DaemonTest, SocketOfAnotherOneIsNotRemovedAtTheEnd) {
  start_and_connect();
  std::filesystem::remove(socket_path());
  std::filesystem::create_directory(socket_path());
  daemon->signal(SIGTERM);
  expect("stop now=0");
  order("exit 0");
  EXPECT_EQ(daemon->wait(), 0);
  EXPECT_TRUE(std::filesystem::is_directory(socket_path()));
}

TEST_F(DaemonTest, BrokenConfigurationIsTwoWithAllErrors) {
  const std::string file =
      directory.write("broken.yaml", "pools:\n  default: {kind: nonsense, workers: many}\n");
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--config", file}, std::vector<std::string>{"--check", "--config", file}}) {
    auto broken = start_another(options);
    EXPECT_EQ(broken->wait(), 2);
    EXPECT_EQ(broken->log.next().substr(0, file.size() + 3), file + ":2:");
    EXPECT_EQ(broken->log.next().substr(0, file.size() + 3), file + ":2:");
    EXPECT_EQ(broken->log.next(), "<end>");
  }
}

TEST_F(DaemonTest, UnknownOptionOrLogLevelIsTwo) {
  EXPECT_EQ(start_another({"--no-such-option"})->wait(), 2);
  EXPECT_EQ(start_another({"--log-level", "loud"})->wait(), 2);
}

TEST_F(DaemonTest, MissingEngineIsSaidAtOnce) {
  std::filesystem::remove(directory / "bin/poold-engine");
  start();
  EXPECT_EQ(daemon->wait(), 1);
  daemon->log.find("the engine cannot be started: " + (directory / "bin/poold-engine") +
                   ": No such file or directory");
}

}  // namespace
}  // namespace poold::supervisor
