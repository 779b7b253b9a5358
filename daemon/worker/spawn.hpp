// Starting a command's first process, as fast as posix_spawn and with what posix_spawn lacks: a directory, a
// death signal, no descriptors. What to start is decided in command_line.hpp.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

namespace poold::worker {

struct Program {
  std::vector<std::string> paths;  // tried in turn, as execvp does
  std::vector<char*>
      argv;  // both end with a null pointer; whoever owns the text keeps it until spawn returns
  std::vector<char*> environment;
  const char* directory = nullptr;  // null: the worker's
  int in = -1;                      // descriptors that become 0, 1 and 2; none of them may be one of these
  int out = -1;
  int err = -1;
};

struct SpawnError {
  enum class Stage { process, directory, program };  // what could not be had
  Stage stage;
  int errno_value;
};

// Not thread-safe: the process's other threads would see the child at work in their memory.
class Spawner {
 public:
  Spawner();  // throws std::system_error if there is no memory for the child's first stack
  ~Spawner();
  Spawner(const Spawner&) = delete;

  // The process leads a group of its own, has an empty signal mask, dies with this thread, and runs the
  // program when this returns. Dispositions are as they are here, but for handlers; the caller keeps all of
  // them at their default.
  std::variant<pid_t, SpawnError> spawn(const Program& program);

 private:
  void* stack_;
};

}  // namespace poold::worker
