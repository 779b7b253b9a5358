// `poold store`: keeps daemons away from a state directory while poold-engine, which knows SQLite, works on
// the store in it.
#pragma once

#include <string>

#include "daemon/supervisor/configuration.hpp"
#include "daemon/supervisor/program.hpp"

namespace poold::supervisor {

struct StoreTool {
  std::string verb;    // empty: none was asked for
  std::string target;  // of those that write a file
};

// The program's exit code: 1 where a daemon uses the store, else that of the tool.
int run_store_tool(const StoreTool& tool, const Places& places, const ProgramDirectories& directories);

}  // namespace poold::supervisor
