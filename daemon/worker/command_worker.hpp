// The loop of a command worker: one command at a time, in order, each a process group of its own; its output
// goes to the attempt's log, its end to the engine. Single-threaded, and asleep in one system call whenever
// nothing happens.
//
// How a process is started is in spawn.hpp, what with in command_line.hpp, where its output goes in
// capture.hpp.
#pragma once

#include <string>

namespace poold::worker {

// Returns the exit code: 0 after a stop, a SIGTERM, or when the engine is gone; 1 with a line on stderr if
// this process was not started by poold, or if what came in was no protocol. When the lifeline ends, does not
// return: the session is killed.
int serve_commands(const std::string& agent);

}  // namespace poold::worker
