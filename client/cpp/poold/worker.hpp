// The loop of a function worker: for programs that register functions with POOLD_FUNCTION and are themselves
// the `program` of a pool.
//
//   #include <poold/worker.hpp>
//   POOLD_FUNCTION("square", [](double x) { return x * x; });
//   int main() { return poold::serve(); }
//
// client/cpp/examples/worker.cpp is a whole one. Plug-ins need no main: poold-worker loads them and calls
// this. The protocol is in poold/v1/worker.proto.
#pragma once

#include <string>
#include <string_view>

#include "function.hpp"

namespace poold {

struct ServeOptions {
  std::string agent = "libpoold";  // name and version of the program, for people
};

// Runs tasks, in order and in this thread, until poold says stop or is gone. The program must have been
// started by poold: tasks come in on descriptor 3, results go out on 4, 5 is the lifeline. When the lifeline
// ends, every process of this one's session is killed, and this one with them, also while a function runs.
//
// Sets SIGPIPE to be ignored; starts one thread, which blocks all signals. Returns the exit code: 0 after a
// stop, 1 with a line on stderr if it was not started by poold, or if what came in was no protocol. Call it
// once, before other threads do anything with the descriptors.
int serve(const ServeOptions& options = {}, const plugin::Table& table = *poold_plugin_table());

// Instead of serve(), in a program that cannot work: no database, no licence. The pool shows these words as
// the reason why it has no workers, and tries again with growing delay. They go to stderr, too, which is the
// daemon's log. Returns the exit code, 1.
int refuse(std::string_view why);

}  // namespace poold
