// A command worker as the engine meets it: the real program over real pipes, with real commands.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/attempt_log.hpp"
#include "tests/unit/worker/worker_process.hpp"

namespace poold::test {
namespace {

using Argv = std::vector<std::string>;

class CommandWorker : public testing::Test {
 protected:
  CommandWorker() {
    std::string pattern = testing::TempDir() + "command_worker_XXXXXX";
    directory = ::mkdtemp(pattern.data());
    hello = worker.receive().hello();
  }
  ~CommandWorker() override { std::filesystem::remove_all(directory); }

  void start(int grace_ms = 10'000, std::uint64_t log_size = 64 << 20) {
    worker.send(welcome(directory, log_size, grace_ms));
  }

  // Runs to the end; what was said about the log is left out.
  v1::Outcome run(const v1::ToWorker& task) {
    worker.send(task);
    return result_of(task.task().task());
  }
  v1::Outcome run(const Argv& argv) { return run(command(++last, argv)); }
  v1::Outcome result_of(std::uint64_t task) {
    v1::FromWorker message = worker.receive();
    while (message.has_output() || message.has_started()) message = worker.receive();
    EXPECT_EQ(message.result().task(), task) << message.ShortDebugString();
    return message.result().outcome();
  }

  struct Output {
    std::string out, err;
    std::uint64_t skipped = 0;
  };
  Output output(std::uint64_t task) {
    Output all;
    const std::string path = attempt_log_path(directory, "id" + std::to_string(task), 1);
    AttemptLogReader reader(FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)));
    for (std::uint64_t offset = 0;;) {
      const auto read = reader.read(offset, 1 << 20);
      if (read.next_offset == offset) return all;
      offset = read.next_offset;
      for (const auto& piece : read.pieces) {
        (piece.stream == LogStream::out ? all.out : all.err) += piece.data;
        all.skipped += piece.skipped;
      }
    }
  }
  std::string file(const std::string& name, const std::string& text, mode_t mode) {
    const std::string path = directory + "/" + name;
    std::ofstream(path) << text;
    ::chmod(path.c_str(), mode);
    return path;
  }

  std::string directory;
  WorkerProcess worker{{}};
  v1::WorkerHello hello;
  std::uint64_t last = 0;
};

TEST_F(CommandWorker, HelloAsksForIds) {
  EXPECT_EQ(hello.versions(0), 1u);
  EXPECT_EQ(hello.generation(), 3u);
  EXPECT_TRUE(hello.want_ids());
  EXPECT_EQ(hello.functions_size(), 0);
}

TEST_F(CommandWorker, ExitCodeAndUsage) {
  start();
  const auto outcome = run({"sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 7"});
  EXPECT_EQ(outcome.kind(), v1::Outcome::EXITED);
  EXPECT_EQ(outcome.exit_code(), 7);
  EXPECT_GT(outcome.usage().wall().nanos(), 0);
  EXPECT_GT(outcome.usage().user().nanos() + outcome.usage().system().nanos(), 0);
  EXPECT_GT(outcome.usage().max_rss_kib(), 100u);
  EXPECT_EQ(run({"/bin/true"}).exit_code(), 0);
  EXPECT_TRUE(std::filesystem::is_empty(directory));
}

TEST_F(CommandWorker, SignalThatEndsACommand) {
  start();
  const auto outcome = run({"sh", "-c", "kill -USR1 $$"});
  EXPECT_EQ(outcome.kind(), v1::Outcome::SIGNALED);
  EXPECT_EQ(outcome.signal(), SIGUSR1);
  EXPECT_FALSE(outcome.core_dumped());
  EXPECT_EQ(run({"sh", "-c", "kill -KILL $$"}).signal(), SIGKILL);
}

TEST_F(CommandWorker, ProgramThatDoesNotExistIs127) {
  start();
  for (const char* name : {"/no/such/program", "no-such-program", ""}) {
    const auto outcome = run({name, "x"});
    EXPECT_EQ(outcome.kind(), v1::Outcome::EXITED);
    EXPECT_EQ(outcome.exit_code(), 127);
    EXPECT_EQ(outcome.error().type(), "ENOENT");
    EXPECT_EQ(outcome.error().message(), std::string(name) + ": No such file or directory");
  }
}

TEST_F(CommandWorker, ProgramThatCannotBeExecutedIs126) {
  start();
  const std::string plain = file("plain", "text", 0644), garbage = file("garbage", "text", 0755);
  const std::string script = file("script", "#! /no/such/interpreter -x\n", 0755);
  const auto expect = [&](const Argv& argv, const char* type, const std::string& message) {
    const auto outcome = run(argv);
    EXPECT_EQ(outcome.kind(), v1::Outcome::EXITED);
    EXPECT_EQ(outcome.exit_code(), 126);
    EXPECT_EQ(outcome.error().type(), type);
    EXPECT_EQ(outcome.error().message(), message);
  };
  expect({plain}, "EACCES", plain + ": Permission denied");
  expect({directory}, "EACCES", directory + ": Permission denied");
  expect({garbage}, "ENOEXEC", garbage + ": Exec format error");
  expect({script}, "ENOENT", script + ": bad interpreter /no/such/interpreter: No such file or directory");
  expect({plain + "/x"}, "ENOTDIR", plain + "/x: Not a directory");
}

TEST_F(CommandWorker, WorkingDirectory) {
  start();
  v1::ToWorker task = command(1, {"pwd"});
  task.mutable_task()->mutable_spec()->mutable_command()->set_cwd(directory);
  EXPECT_EQ(run(task).exit_code(), 0);
  EXPECT_EQ(output(1).out, std::filesystem::canonical(directory).string() + "\n");
  task = command(2, {"pwd"});
  task.mutable_task()->mutable_spec()->mutable_command()->set_cwd("/no/such");
  const auto outcome = run(task);
  EXPECT_EQ(outcome.exit_code(), 126);
  EXPECT_EQ(outcome.error().message(), "working directory /no/such: No such file or directory");
}

TEST_F(CommandWorker, PathIsSearchedInTheTasksEnvironment) {
  start();
  file("poold-test-program", "#!/bin/sh\necho found\n", 0755);
  v1::ToWorker task = command(1, {"poold-test-program"});
  (*task.mutable_task()->mutable_spec()->mutable_command()->mutable_env())["PATH"] = "/no/such:" + directory;
  EXPECT_EQ(run(task).exit_code(), 0);
  EXPECT_EQ(output(1).out, "found\n");
}

TEST_F(CommandWorker, EnvironmentIsTheWorkersWithTheTasks) {
  start();
  v1::ToWorker task = command(1, {"env"});
  auto& env = *task.mutable_task()->mutable_spec()->mutable_command()->mutable_env();
  env["COLOUR"] = "blue";
  env["PATH"] = "/usr/bin:/bin";
  run(task);
  const std::string text = "\n" + output(1).out;
  for (const char* entry : {"\nPOOLD_TASK_ID=id1\n", "\nPOOLD_POOL=p\n", "\nPOOLD_ATTEMPT=1\n",
                            "\nCOLOUR=blue\n", "\nPATH=/usr/bin:/bin\n"})
    EXPECT_NE(text.find(entry), std::string::npos) << entry << text;
  EXPECT_EQ(text.find("\nPOOLD_WORKER="), std::string::npos);
  EXPECT_EQ(text.find("\nPATH="), text.rfind("\nPATH="));
}

TEST_F(CommandWorker, WhatCannotBeACommandIsRejected) {
  start();
  const auto expect = [&](v1::ToWorker task) {
    const auto outcome = run(task);
    EXPECT_EQ(outcome.kind(), v1::Outcome::REJECTED) << outcome.ShortDebugString();
    EXPECT_EQ(outcome.error().type(), "EINVAL");
  };
  v1::ToWorker bad_name = command(1, {"env"});
  (*bad_name.mutable_task()->mutable_spec()->mutable_command()->mutable_env())["A=B"] = "";
  expect(bad_name);
  expect(command(2, {"echo", std::string("a\0b", 3)}));
  v1::ToWorker empty = command(3, {"x"});
  empty.mutable_task()->mutable_spec()->mutable_command()->clear_argv();
  expect(empty);
  expect(function(4, "noop"));
}

TEST_F(CommandWorker, ArgumentsThatAreNotUtf8) {
  start();
  v1::ToWorker task = command(1, {});
  for (const char* argument : {"printf", "%s", "\xff\xfe"})
    task.mutable_task()->mutable_spec()->mutable_command()->add_argv_bytes(argument);
  run(task);
  EXPECT_EQ(output(1).out, "\xff\xfe");
}

TEST_F(CommandWorker, InputIsWhatWasGivenOrNothing) {
  start();
  EXPECT_EQ(run({"cat"}).exit_code(), 0);
  v1::ToWorker task = command(2, {"sha256sum"});
  task.mutable_task()->mutable_spec()->mutable_command()->set_stdin("hi");
  EXPECT_EQ(run(task).exit_code(), 0);
  EXPECT_TRUE(output(2).out.starts_with("8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"));
  task = command(3, {"wc", "-c"});
  task.mutable_task()->mutable_spec()->mutable_command()->set_stdin(std::string(10 << 20, 'x'));
  run(task);
  EXPECT_EQ(output(3).out, "10485760\n");
}

TEST_F(CommandWorker, CommandStartsClean) {
  start();
  // Its own group in the worker's session, no descriptor beyond 2, nothing blocked or ignored.
  run({"sh", "-c", "ls /proc/self/fd; grep -E 'Sig(Blk|Ign)' /proc/self/status"});
  const std::string out = output(1).out;
  EXPECT_TRUE(out.starts_with("0\n1\n2\n3\n")) << out;  // 3 is what ls itself opened
  EXPECT_EQ(out.find("\n4\n"), std::string::npos) << out;
  EXPECT_NE(out.find("SigBlk:\t0000000000000000"), std::string::npos) << out;
  EXPECT_NE(out.find("SigIgn:\t0000000000000000"), std::string::npos) << out;
  run({"sh", "-c", "set -- $(cut -d' ' -f1,5,6 /proc/$$/stat); echo $1 $2 $3"});
  int pid = 0, group = 0, session = 0;
  ASSERT_EQ(std::sscanf(output(2).out.c_str(), "%d %d %d", &pid, &group, &session), 3);
  EXPECT_EQ(group, pid);
  EXPECT_EQ(session, worker.pid());
}

TEST_F(CommandWorker, OutputIsCompleteAndInOrderPerStream) {
  start();
  run({"sh", "-c", "seq 1 100000; seq 100001 200000 >&2; seq 200001 200010"});
  std::string out, err;
  for (int i = 1; i <= 100'000; ++i) out += std::to_string(i) + "\n";
  for (int i = 100'001; i <= 200'000; ++i) err += std::to_string(i) + "\n";
  for (int i = 200'001; i <= 200'010; ++i) out += std::to_string(i) + "\n";
  EXPECT_EQ(output(1).out == out, true);
  EXPECT_EQ(output(1).err == err, true);
}

TEST_F(CommandWorker, FirstOutputIsAnnouncedOnceAndSilenceNever) {
  start();
  worker.send(command(1, {"true"}));
  EXPECT_TRUE(worker.receive().has_result());
  worker.send(command(2, {"sh", "-c", "echo a; echo b >&2"}));
  EXPECT_EQ(worker.receive().output().task(), 2u);
  EXPECT_TRUE(worker.receive().has_result());
}

TEST_F(CommandWorker, OutputIsThereWhileTheCommandRuns) {
  start();
  worker.send(command(1, {"sh", "-c", "echo ready; exec sleep 60"}));
  EXPECT_TRUE(worker.receive().has_output());
  EXPECT_EQ(output(1).out, "ready\n");
}

TEST_F(CommandWorker, HugeLineGrowsNeitherTheWorkerNorTheDisk) {
  constexpr std::uint64_t log_size = 1 << 20;
  start(10'000, log_size);
  EXPECT_EQ(run({"sh", "-c", "head -c 200000000 /dev/zero | tr '\\0' x; echo end >&2"}).exit_code(), 0);
  const Output all = output(1);
  EXPECT_EQ(all.err, "end\n");
  EXPECT_GT(all.out.size() + all.skipped, 200'000'000u);
  EXPECT_GT(all.out.size(), log_size - 3 * log_chunk_size);
  struct stat status {};
  ASSERT_EQ(::stat(attempt_log_path(directory, "id1", 1).c_str(), &status), 0);
  EXPECT_LE(static_cast<std::uint64_t>(status.st_blocks) * 512, log_size);
#if !defined(__SANITIZE_ADDRESS__)
  std::ifstream statm("/proc/" + std::to_string(worker.pid()) + "/statm");
  long pages = 0, resident = 0;
  statm >> pages >> resident;
  EXPECT_LT(resident * 4096, 32 << 20);
#endif
}

TEST_F(CommandWorker, LogThatCannotBeWrittenCostsTheCommandNothing) {
  worker.send(welcome("/no/such/directory", 1 << 20, 1000));
  EXPECT_EQ(run({"sh", "-c", "seq 1 100000; exit 5"}).exit_code(), 5);
}

TEST_F(CommandWorker, NoLogDirectoryMeansNoOutputIsKept) {
  worker.send(welcome("", 1 << 20, 1000));
  EXPECT_EQ(run({"sh", "-c", "echo x; exit 5"}).exit_code(), 5);
}

TEST_F(CommandWorker, AttemptEndsWithItsFirstProcessThoughAGrandchildHoldsThePipe) {
  start(60'000);
  const auto outcome = run({"sh", "-c", "trap '' TERM; sleep 60 & echo last words"});
  EXPECT_EQ(outcome.exit_code(), 0);
  EXPECT_EQ(output(1).out, "last words\n");
  // The next command does not wait for what ignores SIGTERM.
  EXPECT_EQ(run({"true"}).exit_code(), 0);
}

TEST_F(CommandWorker, GrandchildThatWritesForEverDoesNotKeepTheAttempt) {
  start();
  EXPECT_EQ(run({"sh", "-c", "yes & sleep 0.05; exit 3"}).exit_code(), 3);
}

TEST_F(CommandWorker, WhatIsLeftOfTheGroupIsKilledAfterTheGrace) {
  start(50);
  v1::ToWorker task = command(1, {"sh", "-c", "trap '' TERM; sleep 60 & echo $!"});
  run(task);
  const pid_t left = std::stoi(output(1).out);
  const FileDescriptor process(static_cast<int>(::syscall(SYS_pidfd_open, left, 0)));
  if (process.valid()) {
    pollfd poll{process.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&poll, 1, 5000), 1);
  }
}

TEST_F(CommandWorker, CancelIsTermFirst) {
  start();
  worker.send(command(1, {"sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"}));
  EXPECT_TRUE(worker.receive().has_output());
  worker.send(cancel(1));
  const auto outcome = result_of(1);
  EXPECT_EQ(outcome.kind(), v1::Outcome::CANCELLED);
  EXPECT_EQ(outcome.exit_code(), 9);
}

TEST_F(CommandWorker, CancelIsKillAfterTheGrace) {
  start(50);
  worker.send(command(1, {"sh", "-c", "trap '' TERM; echo ready; sleep 60; sleep 60"}));
  EXPECT_TRUE(worker.receive().has_output());
  worker.send(cancel(1));
  const auto outcome = result_of(1);
  EXPECT_EQ(outcome.kind(), v1::Outcome::CANCELLED);
  EXPECT_EQ(outcome.signal(), SIGKILL);
  EXPECT_EQ(run(command(2, {"true"})).exit_code(), 0);
}

TEST_F(CommandWorker, StoppedCommandCanBeCancelled) {
  start();
  worker.send(command(1, {"sh", "-c", "echo ready; kill -STOP $$"}));
  EXPECT_TRUE(worker.receive().has_output());
  worker.send(cancel(1));
  EXPECT_EQ(result_of(1).kind(), v1::Outcome::CANCELLED);
}

TEST_F(CommandWorker, WaitingTasksAreGivenBackOrCancelledWhileOneRuns) {
  start();
  v1::ToWorker first = command(1, {"sleep", "60"});
  first.mutable_task()->set_want_started(true);
  worker.send(first);
  EXPECT_TRUE(worker.receive().has_started());
  for (const std::uint64_t task : {2, 3, 4}) worker.send(command(task, {"true"}));
  worker.send(give_back({1, 2, 99}));
  auto returned = worker.receive().returned();
  EXPECT_EQ(std::vector<std::uint64_t>(returned.tasks().begin(), returned.tasks().end()),
            (std::vector<std::uint64_t>{2}));
  worker.send(give_back({2}));
  EXPECT_EQ(worker.receive().returned().tasks_size(), 0);
  worker.send(cancel(3));
  const auto third = result_of(3);
  EXPECT_EQ(third.kind(), v1::Outcome::CANCELLED);
  EXPECT_FALSE(third.has_exit_code());
  worker.send(cancel(1));
  EXPECT_EQ(result_of(1).signal(), SIGTERM);
  EXPECT_EQ(result_of(4).exit_code(), 0);
}

TEST_F(CommandWorker, SignalGoesToTheGroupOfTheNamedTaskOnly) {
  start();
  worker.send(command(1, {"sh", "-c", "trap 'exit 4' USR1; echo ready; while :; do sleep 0.01; done"}));
  EXPECT_TRUE(worker.receive().has_output());
  worker.send(send_signal(2, SIGKILL));
  worker.send(send_signal(1, SIGUSR1));
  const auto outcome = result_of(1);
  EXPECT_EQ(outcome.kind(), v1::Outcome::EXITED);
  EXPECT_EQ(outcome.exit_code(), 4);
}

TEST_F(CommandWorker, StartedIsSentWhereItWasAskedFor) {
  start();
  v1::ToWorker task = command(1, {"sleep", "60"});
  task.mutable_task()->set_want_started(true);
  worker.send(task);
  EXPECT_EQ(worker.receive().started().task(), 1u);
}

TEST_F(CommandWorker, StopRunsWhatIsHereAndExits) {
  start();
  for (const std::uint64_t task : {1, 2}) worker.send(command(task, {"true"}));
  worker.send(stop());
  EXPECT_EQ(worker.receive_all().size(), 2u);
  EXPECT_EQ(worker.wait(), 0);
}

TEST_F(CommandWorker, TermCancelsWhatRunsAndDropsTheRest) {
  start();
  worker.send(command(1, {"sh", "-c", "echo ready; exec sleep 60"}));
  worker.send(command(2, {"true"}));
  EXPECT_TRUE(worker.receive().has_output());
  ::kill(worker.pid(), SIGTERM);
  const auto messages = worker.receive_all();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].result().outcome().kind(), v1::Outcome::CANCELLED);
  EXPECT_EQ(worker.wait(), 0);
}

TEST_F(CommandWorker, EndOfTheTaskPipeLetsTheRunningCommandFinish) {
  start();
  worker.send(command(1, {"sh", "-c", "echo ready; sleep 0.1; exit 3"}));
  worker.send(command(2, {"true"}));
  EXPECT_TRUE(worker.receive().has_output());
  worker.end_tasks();
  const auto messages = worker.receive_all();
  EXPECT_EQ(worker.wait(), 0);
  for (const auto& message : messages) EXPECT_EQ(message.result().task(), 1u);
}

TEST_F(CommandWorker, EndOfTheLifelineKillsEverythingOfTheSession) {
  start();
  worker.send(command(
      1, {"sh", "-c", "trap '' TERM; sleep 60 & (sleep 60 & sleep 60) & echo ready; sleep 60 & sleep 60"}));
  EXPECT_TRUE(worker.receive().has_output());
  EXPECT_GE(worker.session().size(), 3u);
  worker.end_lifeline();
  EXPECT_TRUE(worker.session_ends_within_a_second());
}

TEST_F(CommandWorker, DeathOfTheWorkerIsTheDeathOfItsCommand) {
  start();
  worker.send(command(1, {"sh", "-c", "echo $$; exec sleep 60"}));
  EXPECT_TRUE(worker.receive().has_output());
  const FileDescriptor process(static_cast<int>(::syscall(SYS_pidfd_open, std::stoi(output(1).out), 0)));
  ASSERT_TRUE(process.valid());
  ::kill(worker.pid(), SIGKILL);
  pollfd poll{process.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&poll, 1, 1000), 1);
}

TEST_F(CommandWorker, ManyCommandsLeaveNothingBehind) {
  start();
  for (std::uint64_t i = 1; i <= 300; ++i) worker.send(command(i, {"/bin/true"}));
  for (std::uint64_t i = 1; i <= 300; ++i) EXPECT_EQ(result_of(i).exit_code(), 0);
  EXPECT_EQ(worker.session().size(), 1u);
  std::size_t descriptors = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(worker.pid()) + "/fd"))
    ++descriptors;
  EXPECT_LE(descriptors, 10u);
}

TEST_F(CommandWorker, TaskBeforeTheWelcomeIsNoProtocol) {
  worker.send(command(1, {"true"}));
  EXPECT_EQ(WEXITSTATUS(worker.wait()), 1);
  EXPECT_NE(worker.errors().find("no protocol"), std::string::npos);
}

TEST_F(CommandWorker, GarbageEndsItWithAMessage) {
  worker.send_bytes("garbage, not frames");
  EXPECT_EQ(WEXITSTATUS(worker.wait()), 1);
}

}  // namespace
}  // namespace poold::test
