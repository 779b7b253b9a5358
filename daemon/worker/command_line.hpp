// What a command is to be started with: arguments, environment, paths to try; and what to say when that
// fails. Nothing is started here; see spawn.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/worker/spawn.hpp"
#include "poold/v1/worker.pb.h"

namespace poold::worker {

// Builds commands' environments: the worker's own without what only concerns the worker, then POOLD_TASK_ID,
// POOLD_POOL and POOLD_ATTEMPT, then the task's. Later entries replace earlier ones.
class CommandLine {
 public:
  // Takes the process's environment as it is now.
  CommandLine(std::string pool);
  // The only programs to be run, where there are any (common/allowed_program.hpp).
  void allow_only(std::vector<std::string> programs) { allowed_ = std::move(programs); }

  // Sets everything of `program` but the descriptors. Its pointers are good until the next call and for as
  // long as `task` lives. If the command is not one that could be started, says why.
  std::optional<std::string> prepare(const v1::WorkerTask& task, Program& program);

 private:
  std::optional<std::string> set_arguments(const v1::Command& command, Program& program);
  std::optional<std::string> set_environment(const v1::WorkerTask& task, Program& program);
  std::optional<std::string> set_paths(Program& program) const;

  std::string pool_;
  std::vector<std::string> allowed_;
  std::vector<std::string> inherited_;  // NAME=VALUE
  std::vector<std::string> added_;      // of the task at hand
};

// What a shell would say: EXITED with 127 if there is no such program, with 126 if there is one that cannot
// be run or no such directory; REJECTED if the machine has no room for another process. `error` is filled
// with the errno's name and a sentence.
void set_spawn_error(v1::Outcome& outcome, const v1::Command& command, const Program& program,
                     const SpawnError& error);
// REJECTED, with the errno's name.
void set_refusal(v1::Outcome& outcome, int errno_value, std::string_view what);

}  // namespace poold::worker
