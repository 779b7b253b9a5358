#include "daemon/supervisor/store_tool.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "daemon/supervisor/ownership.hpp"

namespace poold::supervisor {
namespace {

constexpr int exit_refused = 1;

int refuse(const std::string& text) {
  std::fprintf(stderr, "poold: %s\n", text.c_str());
  return exit_refused;
}

}  // namespace

int run_store_tool(const StoreTool& tool, const Places& places, const ProgramDirectories& directories) {
  const std::string file = places.state_directory + "/poold.db";
  // Before a lock file is made where there is nothing to lock.
  if (::access(file.c_str(), F_OK) < 0)
    return refuse(file + ": " + std::strerror(errno) + "; --state-dir names where the store is");
  auto lock = FileLock::take(places.state_directory + "/supervisor.lock",
                             "state directory " + places.state_directory);
  if (const auto* refusal = std::get_if<Refusal>(&lock))
    return refuse(refusal->message + "; stop the daemon first: poolctl daemon stop");
  if (const auto waited = wait_for_engine_lock(places.state_directory + "/engine.lock", engine_lock_patience);
      const auto* refusal = std::get_if<Refusal>(&waited))
    return refuse(refusal->message);

  const std::string program = directories.programs + "/poold-engine";
  std::string words[] = {"poold-engine", "store", tool.verb, file, tool.target};
  char* argv[] = {words[0].data(),
                  words[1].data(),
                  words[2].data(),
                  words[3].data(),
                  tool.target.empty() ? nullptr : words[4].data(),
                  nullptr};
  pid_t pid = 0;
  if (const int error = ::posix_spawn(&pid, program.c_str(), nullptr, nullptr, argv, environ); error != 0)
    return refuse(program + ": " + std::strerror(error));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return refuse(std::string("waitpid: ") + std::strerror(errno));
  return WIFEXITED(status) ? WEXITSTATUS(status) : exit_refused;
}

}  // namespace poold::supervisor
