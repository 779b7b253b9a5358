// The life of a daemon: workers come and go, engines are replaced, configurations change.
#include <fcntl.h>

#include <chrono>
#include <csignal>

#include "tests/unit/supervisor/daemon_fixture.hpp"

namespace poold::supervisor {
namespace {

TEST_F(DaemonTest, EngineIsWelcomedWithTheConfigurationAndTheSocket) {
  start();
  daemon->log.find("ready: socket");
  connect();
  const std::string welcome = expect("welcome version=1 restarts=0");
  EXPECT_EQ(number_in(welcome, "text"), static_cast<int>(configuration.size()));
  EXPECT_EQ(number_in(welcome, "seals"), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  EXPECT_NE(welcome.find("libraries=" + (directory / "lib")), std::string::npos);
  stop_cleanly();
}

TEST_F(DaemonTest, StateDirectoryIsMadeForItsOwnerAlone) {
  start_and_connect();
  struct stat status;
  ASSERT_EQ(::stat(state_directory().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  stop_cleanly();
}

TEST_F(DaemonTest, WorkerIsStartedWithTwoPipesAndReportedWhenKilled) {
  start_and_connect();
  order("start default 1");
  const std::string started = expect("started default/1/1 ");
  EXPECT_EQ(number_in(started, "pipes"), 1);
  EXPECT_EQ(number_in(started, "count"), 3) << "two pipe ends and the ring of results";
  ::kill(number_in(started, "pid"), SIGKILL);
  expect("exited default/1/1 signal=9 rss=1");
  order("start default 1");
  expect("started default/1/2 ");
  expect_nothing_else();
  stop_cleanly();
}

TEST_F(DaemonTest, DeathIsReportedOnceNothingOfTheWorkerIsLeft) {
  configuration +=
      "  family: {kind: function, program: [sh, -c, 'sleep 1000 & echo has child=$!; sleep 1000 & echo has "
      "child=$!; wait'], workers: 1}\n";
  start_and_connect();
  order("start family 0");
  const std::string started = expect("started family/0/1 ");
  const pid_t children[] = {number_in(daemon->log.find("child="), "child"),
                            number_in(daemon->log.find("child="), "child")};
  order("signal family 0 1 9");
  expect("exited family/0/1 signal=9");
  for (const pid_t child : children) EXPECT_TRUE(ends(child, 0)) << child;
  stop_cleanly();
}

TEST_F(DaemonTest, WorkerGetsSixDescriptorsAndItsName) {
  configuration += "  mirror: {kind: function, program: [" MIRROR_PROGRAM
                   ", x], workers: 1, env: {MINE: \"1\"}, cwd: /usr}\n";
  start_and_connect();
  order("start mirror 0");
  expect("started mirror/0/1 ");
  expect("exited mirror/0/1 code=0");
  daemon->log.find("descriptors 0 1 2 3 4 5 8");
  daemon->log.find("arguments [" MIRROR_PROGRAM "] [x]");
  daemon->log.find("session own");
  daemon->log.find("signals 0 blocked 0 not default");
  daemon->log.find("death signal 9");
  daemon->log.find("cwd /usr");
  daemon->log.find("env MINE=1");
  daemon->log.find("env POOLD_POOL=mirror");
  daemon->log.find("env POOLD_WORKER=mirror/0/1");
  stop_cleanly();
}

TEST_F(DaemonTest, SignalsReachTheirGenerationOnly) {
  start_and_connect();
  order("start default 0");
  expect("started default/0/1 ");
  order("signal default 0 2 9");
  order("signal default 0 0 9");
  order("signal other 0 1 9");
  order("signal default 0 1 900");
  expect_nothing_else();
  order("signal default 0 1 15");
  expect("exited default/0/1 signal=15");
  stop_cleanly();
}

TEST_F(DaemonTest, StartsThatMakeNoSenseAreIgnored) {
  start_and_connect();
  order("start nobody 0");
  daemon->log.find("unknown pool nobody");
  order("start default 1000");
  daemon->log.find("a start in slot 1000");
  order("start default 0");
  expect("started default/0/1 ");
  order("start default 0");
  order("unknown");
  expect("noted");
  daemon->log.find("a message that this version does not know (4 such so far)");
  expect_nothing_else();
  stop_cleanly();
}

TEST_F(DaemonTest, WorkersThatCannotStartSayWhy) {
  const std::string script = directory.write("script", "#!/no/such/interpreter\n", 0755);
  configuration +=
      "  absent: {kind: function, program: [no-such-program], workers: 1}\n"
      "  script: {kind: function, program: [" +
      script +
      "], workers: 1}\n"
      "  nowhere: {kind: function, program: [/bin/true], workers: 1, cwd: /no/such/directory}\n";
  start_and_connect();
  order("start absent 0");
  expect("failed absent/0 errno=2 path=no-such-program not found in PATH");
  order("start script 0");
  expect("failed script/0 errno=2 path=" + script + " its interpreter /no/such/interpreter is missing");
  order("start nowhere 0");
  expect("failed nowhere/0 errno=2 path=/no/such/directory working directory: No such");
  stop_cleanly();
}

TEST_F(DaemonTest, DeadEngineTakesItsWorkersAlongAndIsReplaced) {
  start_and_connect();
  order("start default 0");
  const pid_t first = number_in(expect("started default/0/1 "), "pid");
  order("start default 1");
  const pid_t second = number_in(expect("started default/1/1 "), "pid");
  order("crash");
  EXPECT_EQ(engine->next(), "<end>");
  connect();
  expect("welcome version=1 restarts=1");
  // Before the new engine was welcomed, the old workers were gone.
  EXPECT_TRUE(ends(first, 0));
  EXPECT_TRUE(ends(second, 0));
  order("start default 0");
  expect("started default/0/2 ");
  expect_nothing_else();
  stop_cleanly();
}

TEST_F(DaemonTest, EnginesThatDieBeforeReadyAreReplacedMoreAndMoreSlowly) {
  start_and_connect();
  order("unready");
  expect("noted");
  order("crash");
  for (const std::string delay : {"100", "200", "400"}) {
    EXPECT_EQ(engine->next(), "<end>");
    connect();
    expect("welcome ");
    order("crash");
    daemon->log.find("the next engine starts in " + delay + " ms");
  }
  EXPECT_EQ(engine->next(), "<end>");
  connect();
  expect("welcome version=1 restarts=4");
  order("ready");
  daemon->log.find("ready: socket");
  stop_cleanly();
}

TEST_F(DaemonTest, EngineThatSendsGarbageIsKilledAndReplaced) {
  start_and_connect();
  order("garbage");
  daemon->log.find("(by the supervisor: it sent what is no message)");
  connect();
  expect("welcome version=1 restarts=1");
  stop_cleanly();
}

TEST_F(DaemonTest, HangUpReloadsAndABrokenFileChangesNothing) {
  start_and_connect();
  order("start late 0");
  daemon->log.find("unknown pool late");
  configuration += "  late: {kind: command, workers: 1}\n";
  directory.write("poold.yaml", configuration);
  daemon->signal(SIGHUP);
  expect("reloaded request=0 ok=1 text=" + std::to_string(configuration.size()));
  order("start late 0");
  expect("started late/0/1 ");

  directory.write("poold.yaml", "pools:\n  default: {kind: nonsense, workers: many}\n");
  order("reload 12");
  const std::string answer = expect("reloaded request=12 ok=0 | ");
  EXPECT_NE(answer.find("poold.yaml:2:"), std::string::npos) << answer;
  EXPECT_NE(answer.find(" | ", answer.find(" | ") + 3), std::string::npos) << "both errors: " << answer;
  order("start late 1");
  expect("started late/1/1 ");
  directory.write("poold.yaml", configuration);
  stop_cleanly();
}

TEST_F(DaemonTest, ReloadCannotMoveTheDaemon) {
  const std::string file =
      directory.write("poold.yaml", "socket: " + socket_path() + "\nstate_dir: " + state_directory() + "\n");
  daemon = start_another({"--config", file});
  daemon->log.find("ready: socket " + socket_path());
  connect();
  expect("welcome ");
  directory.write("poold.yaml", "socket: /tmp/elsewhere.sock\nstate_dir: /tmp/elsewhere\n");
  daemon->signal(SIGHUP);
  const std::string answer = expect("reloaded request=0 ok=0 | ");
  EXPECT_NE(
      answer.find("socket: changing it from " + socket_path() + " to /tmp/elsewhere.sock needs a restart"),
      std::string::npos);
  EXPECT_NE(answer.find("state_dir: changing it"), std::string::npos);
  stop_cleanly();
}

}  // namespace
}  // namespace poold::supervisor
