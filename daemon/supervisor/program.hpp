// What a pool's worker runs: from the checked settings to a path and its arguments. The engine has no word in
// it.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "daemon/settings/settings.hpp"
#include "daemon/supervisor/environment.hpp"

namespace poold::supervisor {

// Why a process could not be started.
struct StartError {
  int errno_value = 0;
  std::string path;  // what could not be started, as it stands in the configuration where it came from there
  std::string message;  // in words, without the path
};
std::string to_string(const StartError& error);

struct Program {
  std::string path;  // executed as it is; with a slash in it
  std::vector<std::string> argv;
  bool ours = false;  // speaks to the lifeline, and so ends by itself when the supervisor is gone
};

// Where poold's own programs and the plug-ins without a slash are, found from where poold itself is, so that
// an installed tree can be moved: beside it and in ../lib (a build tree), else in ../libexec/poold and
// ../lib/poold (installed).
struct ProgramDirectories {
  std::string programs;
  std::string plugins;
};
ProgramDirectories find_directories(const std::string& own_directory);

// `environment` is the worker's: its PATH is searched. Relative entries of PATH are passed over.
std::variant<Program, StartError> worker_program(const settings::Pool& pool,
                                                 const ProgramDirectories& directories,
                                                 const Environment& environment);

// Words for a failed execve: the kernel answers ENOENT and EACCES for a script whose interpreter is at fault,
// too.
std::string describe_exec_error(int errno_value, const std::string& path);

}  // namespace poold::supervisor
