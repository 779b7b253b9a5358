// Puts a task's output on poolctl's own stdout and stderr: as it is, or escaped where a terminal would take
// it as orders. Never blocks in a way that a signal cannot end: it waits for room through the wait it is
// given.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "client/cli/text.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::cli {

class OutputPrinter {
 public:
  // Waits until a descriptor takes bytes; false to give up on this output.
  using WaitForRoom = std::function<bool(int fd)>;

  // `raw`: nothing is escaped, terminal or not. `stdout_target`: where the task's stdout goes (a function's
  // goes to stderr, since its value is on stdout).
  OutputPrinter(WaitForRoom wait_for_room, bool raw, int stdout_target);

  // False if nobody reads any more: the reader of our stdout or stderr is gone, or the wait gave up.
  bool print(const v1::LogChunk& chunk);
  // Bytes of the task's result, in place of its output.
  bool print_bytes(int fd, std::string_view bytes);
  // What an escaper still holds, and how much was missing.
  bool finish();

 private:
  struct Target {
    int fd;
    bool escape;   // a terminal
    bool regular;  // a file: a write never waits for a reader
    TerminalEscaper escaper;
  };
  static Target make_target(int fd, bool raw);
  bool write(Target& target, std::string_view bytes);
  void note_gap(std::uint64_t bytes);

  WaitForRoom wait_for_room_;
  Target out_;
  Target err_;
  bool out_to_err_;
  std::uint64_t gaps_ = 0;           // places where the log had no room for the output
  std::uint64_t missing_bytes_ = 0;  // in all of them
};

}  // namespace poold::cli
