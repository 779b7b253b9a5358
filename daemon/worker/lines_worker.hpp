// The worker of a pool with `protocol: lines`. Stands between the daemon, which speaks frames to it as to any
// worker, and a program that reads one JSON object a line on its stdin and writes such lines to its stdout.
#pragma once

#include <string>
#include <vector>

namespace poold::worker {

// Runs tasks until the daemon says stop or is gone, or until the program has ended, whose end it then takes
// for its own. `argv[0]` is the program's path. Returns the exit code.
int serve_lines(const std::string& agent, const std::vector<std::string>& argv);

}  // namespace poold::worker
