#include "daemon/supervisor/spawn.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/unit/supervisor/temporary_directory.hpp"

namespace poold::supervisor {
namespace {

struct SpawnTest : testing::Test {
  const TemporaryDirectory directory;
  FileDescriptor null{::open("/dev/null", O_RDWR | O_CLOEXEC)};

  void TearDown() override { EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child was left"; }

  ProcessPlan plan(std::vector<std::string> argv) {
    ProcessPlan made;
    made.path = argv.front();
    made.argv = std::move(argv);
    made.descriptors = {null.get(), STDOUT_FILENO, STDERR_FILENO};
    return made;
  }

  ExitReport wait(Process& process) {
    pollfd poll{process.pidfd(), POLLIN, 0};
    EXPECT_EQ(::poll(&poll, 1, 30'000), 1);
    const std::optional<ExitReport> report = process.peek();
    EXPECT_TRUE(report);
    process.reap();
    return report.value_or(ExitReport{});
  }

  // What the mirror program says of itself when it is started so.
  std::string mirror(ProcessPlan made) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const FileDescriptor output(ends[0]);
    FileDescriptor input(ends[1]);
    made.descriptors[1] = input.get();
    auto started = spawn(made);
    input.reset();
    if (const auto* error = std::get_if<StartError>(&started)) return error->message;
    std::string text;
    char part[4096];
    for (ssize_t got; (got = ::read(output.get(), part, sizeof part)) > 0;)
      text.append(part, static_cast<std::size_t>(got));
    EXPECT_EQ(wait(std::get<Process>(started)).code, 0);
    return text;
  }

  StartError failure(const ProcessPlan& made) {
    auto started = spawn(made);
    if (const auto* error = std::get_if<StartError>(&started)) return *error;
    ADD_FAILURE() << "it started";
    return {};
  }
};

void expect_line(const std::string& text, const std::string& line) {
  EXPECT_NE(("\n" + text).find("\n" + line + "\n"), std::string::npos) << line << "\nis not in\n" << text;
}

TEST_F(SpawnTest, ChildHasItsDescriptorsAndNoOthers) {
  // One below and one above those that Boost.Process opens, both inheritable.
  const FileDescriptor low(::dup(null.get()));
  const FileDescriptor high(::fcntl(null.get(), F_DUPFD, 200));
  ProcessPlan made = plan({MIRROR_PROGRAM});
  made.descriptors = {null.get(), -1, STDERR_FILENO, null.get(), high.get(), low.get()};
  expect_line(mirror(made), "descriptors 0 1 2 3 4 5");
}

TEST_F(SpawnTest, DescriptorsThatSwapPlacesArriveWhereTheyBelong) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const FileDescriptor read_end(pipe[0]), write_end(pipe[1]);
  ProcessPlan made = plan({"/bin/sh", "-c", "echo through >&4; head -c 7 <&3 >/dev/null"});
  made.descriptors = {STDERR_FILENO, null.get(), null.get(), read_end.get(), write_end.get()};
  auto started = spawn(made);
  EXPECT_EQ(wait(std::get<Process>(started)).code, 0);
}

TEST_F(SpawnTest, ChildLeadsItsOwnSessionWithCleanSignals) {
  const auto before = std::signal(SIGUSR1, SIG_IGN);
  const std::string text = mirror(plan({MIRROR_PROGRAM, "a b", ""}));
  std::signal(SIGUSR1, before);
  expect_line(text, "session own");
  expect_line(text, "signals 0 blocked 0 not default");
  expect_line(text, std::string("arguments [") + MIRROR_PROGRAM + "] [a b] []");
  expect_line(text, "death signal 0");
}

TEST_F(SpawnTest, ChildGetsTheEnvironmentDirectoryAndLimitsOfThePlan) {
  ProcessPlan made = plan({MIRROR_PROGRAM});
  made.environment = {"ONLY=this"};
  made.cwd = directory.path();
  made.dies_with_parent = true;
  made.open_files = rlimit{123, 456};
  const std::string text = mirror(made);
  EXPECT_NE(text.find("env ONLY=this\n"), std::string::npos);
  EXPECT_EQ(text.find("env ", text.find("env ONLY") + 4), std::string::npos) << text;
  expect_line(text, "cwd " + directory.path());
  expect_line(text, "death signal 9");
  expect_line(text, "open files 123");
}

TEST_F(SpawnTest, MissingProgram) {
  const StartError error = failure(plan({"/no/such/program"}));
  EXPECT_EQ(error.errno_value, ENOENT);
  EXPECT_EQ(error.path, "/no/such/program");
  EXPECT_EQ(to_string(error), "/no/such/program: No such file or directory");
}

TEST_F(SpawnTest, ProgramThatMayNotBeExecuted) {
  const StartError error = failure(plan({directory.write("script", "#!/bin/sh\n", 0644)}));
  EXPECT_EQ(error.errno_value, EACCES);
  EXPECT_EQ(error.path, directory / "script");
}

TEST_F(SpawnTest, MissingInterpreterIsNamedBesideTheScript) {
  const StartError error = failure(plan({directory.write("script", "#! /no/such/python -u\n", 0755)}));
  EXPECT_EQ(error.errno_value, ENOENT);
  EXPECT_EQ(error.path, directory / "script");
  EXPECT_EQ(error.message, "its interpreter /no/such/python is missing");
}

TEST_F(SpawnTest, ScriptWithoutAnInterpreterIsNotGuessedAt) {
  const StartError error = failure(plan({directory.write("script", "echo hello\n", 0755)}));
  EXPECT_EQ(error.errno_value, ENOEXEC);
}

TEST_F(SpawnTest, MissingWorkingDirectoryIsNamed) {
  ProcessPlan made = plan({"/bin/true"});
  made.cwd = directory / "gone";
  const StartError error = failure(made);
  EXPECT_EQ(error.errno_value, ENOENT);
  EXPECT_EQ(error.path, made.cwd);
  EXPECT_EQ(error.message, "working directory: No such file or directory");
}

TEST_F(SpawnTest, RelativeProgramIsFoundFromTheWorkingDirectory) {
  directory.write("tool", "#!/bin/sh\nexit 5\n", 0755);
  ProcessPlan made = plan({"./tool"});
  made.cwd = directory.path();
  auto started = spawn(made);
  EXPECT_EQ(wait(std::get<Process>(started)).code, 5);
}

TEST_F(SpawnTest, NoDescriptorsLeftIsAnErrorAndNoCrash) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizers need descriptors for their own checks of a caught exception";
#endif
  ASSERT_TRUE(std::holds_alternative<Process>(spawn(plan({"/bin/true"}))));  // low numbers are taken
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const FileDescriptor next(::dup(null.get()));
  // From none left to enough: Asio's reactor, the error pipe and the pidfds fail in turn.
  for (int spare = 0; spare < 12; ++spare) {
    const rlimit tight{static_cast<rlim_t>(next.get() + spare), before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &tight);
    auto started = spawn(plan({"/bin/true"}));
    ::setrlimit(RLIMIT_NOFILE, &before);
    if (const auto* error = std::get_if<StartError>(&started)) {
      EXPECT_EQ(error->errno_value, EMFILE) << spare;
    } else {
      wait(std::get<Process>(started));
    }
  }
}

TEST_F(SpawnTest, ExitReportTellsCodeSignalAndUsage) {
  auto exits = spawn(plan({"/bin/sh", "-c", "exit 7"}));
  ExitReport report = wait(std::get<Process>(exits));
  EXPECT_FALSE(report.signaled);
  EXPECT_EQ(report.code, 7);
  EXPECT_GT(report.max_rss_kib, 0U);
  EXPECT_EQ(to_string(report), "exited with code 7");

  auto dies = spawn(plan({"/bin/sh", "-c", "kill -9 $$"}));
  report = wait(std::get<Process>(dies));
  EXPECT_TRUE(report.signaled);
  EXPECT_EQ(report.code, SIGKILL);
  EXPECT_EQ(to_string(report), "was killed by signal 9 (Killed)");
}

TEST_F(SpawnTest, ProcessThatIsLetGoIsKilledAndReaped) {
  auto started = spawn(plan({"/bin/sleep", "1000"}));
  const pid_t pid = std::get<Process>(started).pid();
  EXPECT_EQ(std::get<Process>(started).peek(), std::nullopt) << "pid " << pid;
}

}  // namespace
}  // namespace poold::supervisor
