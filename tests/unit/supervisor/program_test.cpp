#include "daemon/supervisor/program.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/supervisor/temporary_directory.hpp"

namespace poold::supervisor {
namespace {

const ProgramDirectories directories = find_directories("/opt/poold/bin");

TEST(Directories, ProgramsBesidePooldAreABuildTree) {
  const TemporaryDirectory tree;
  for (const char* path : {"bin", "libexec/poold"}) {
    std::filesystem::create_directories(tree / path);
    tree.write(std::string(path) + "/poold-engine", "", 0755);
  }
  const ProgramDirectories found = find_directories(tree / "bin");
  EXPECT_EQ(found.programs, tree / "bin");
  EXPECT_EQ(found.plugins, tree / "lib");
}

TEST(Directories, WithoutThemItIsInstalled) {
  const TemporaryDirectory tree;
  std::filesystem::create_directories(tree / "libexec/poold");
  tree.write("libexec/poold/poold-engine", "", 0755);
  const ProgramDirectories found = find_directories(tree / "bin");
  EXPECT_EQ(found.programs, tree / "libexec/poold");
  EXPECT_EQ(found.plugins, tree / "lib/poold");
}

TEST(WorkerProgram, CommandPoolRunsPooldWorkerBesideTheSupervisor) {
  const auto program = std::get<Program>(worker_program({}, directories, {}));
  EXPECT_EQ(program.path, "/opt/poold/bin/poold-worker");
  EXPECT_EQ(program.argv, (std::vector<std::string>{"poold-worker"}));
  EXPECT_TRUE(program.ours);
}

TEST(WorkerProgram, PlugInWithoutASlashIsInTheLibraryDirectory) {
  settings::Pool pool;
  pool.plugin = "libmath.so";
  EXPECT_EQ(std::get<Program>(worker_program(pool, directories, {})).argv,
            (std::vector<std::string>{"poold-worker", "--plugin", "/opt/poold/lib/libmath.so"}));
  pool.plugin = "/srv/libmath.so";
  EXPECT_EQ(std::get<Program>(worker_program(pool, directories, {})).argv.back(), "/srv/libmath.so");
}

TEST(WorkerProgram, NameIsLookedUpInThePoolsOwnPath) {
  const TemporaryDirectory first, second;
  first.write("tool", "", 0644);
  const std::string tool = second.write("tool", "", 0755);
  settings::Pool pool;
  pool.program = {"tool", "-x"};
  const auto program = std::get<Program>(
      worker_program(pool, directories, {"PATH=relative:" + first.path() + ":" + second.path()}));
  EXPECT_EQ(program.path, tool);
  EXPECT_EQ(program.argv, pool.program);
  EXPECT_FALSE(program.ours);
}

TEST(WorkerProgram, OneThatSpeaksLinesIsHandedToPooldWorker) {
  const TemporaryDirectory directory;
  const std::string tool = directory.write("tool", "", 0755);
  settings::Pool pool;
  pool.program = {"tool", "-x", ""};
  pool.protocol = settings::WorkerProtocol::lines;
  const auto program = std::get<Program>(worker_program(pool, directories, {"PATH=" + directory.path()}));
  EXPECT_EQ(program.path, "/opt/poold/bin/poold-worker");
  EXPECT_EQ(program.argv, (std::vector<std::string>{"poold-worker", "--lines", tool, "-x", ""}));
  EXPECT_TRUE(program.ours);
  EXPECT_EQ(std::get<StartError>(worker_program(pool, directories, {"PATH=/nowhere"})).path, "tool");
}

TEST(WorkerProgram, NameThatIsNowhereIsNamedAsConfigured) {
  const TemporaryDirectory directory;
  settings::Pool pool;
  pool.program = {"no-such-tool"};
  const auto error = std::get<StartError>(worker_program(pool, directories, {"PATH=" + directory.path()}));
  EXPECT_EQ(error.errno_value, ENOENT);
  EXPECT_EQ(error.path, "no-such-tool");
  EXPECT_EQ(error.message, "not found in PATH (" + directory.path() + ")");
}

TEST(WorkerProgram, NameThatMayNotBeExecutedSaysSo) {
  const TemporaryDirectory directory;
  directory.write("tool", "", 0644);
  settings::Pool pool;
  pool.program = {"tool"};
  const auto error = std::get<StartError>(worker_program(pool, directories, {"PATH=" + directory.path()}));
  EXPECT_EQ(error.errno_value, EACCES);
}

TEST(WorkerProgram, PathWithASlashIsTakenAsItIs) {
  settings::Pool pool;
  pool.program = {"/no/such/tool"};
  EXPECT_EQ(std::get<Program>(worker_program(pool, directories, {})).path, "/no/such/tool");
}

}  // namespace
}  // namespace poold::supervisor
