// poolctl as a function of its words: the verbs, the help, and which exit code an error becomes.
#pragma once

#include "client/cli/command_line.hpp"

namespace poold::cli {

// Does what the words say (without the program's name) and returns the exit code.
int run_app(const Words& words);

}  // namespace poold::cli
