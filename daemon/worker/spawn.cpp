#include "daemon/worker/spawn.hpp"

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <optional>
#include <system_error>

namespace poold::worker {
namespace {

// The child calls a dozen system calls on it, and nothing that needs room.
constexpr std::size_t stack_size = 64 * 1024;

// What parent and child share, in the parent's memory: the parent stands still until the child has become the
// program or is gone.
struct Shared {
  const Program& program;
  pid_t parent;
  SpawnError error{SpawnError::Stage::process, 0};
};

// execvp's rule: these errors mean that the search goes on.
bool search_goes_on(int error) {
  return error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP || error == ENAMETOOLONG ||
         error == ENODEV || error == ETIMEDOUT || error == ESTALE;
}

// Returns only if no path could be executed: the errno. Somebody's missing right says more than another
// path's absence.
int execute(const Program& program) {
  bool denied = false;
  int error = ENOENT;
  for (const std::string& path : program.paths) {
    ::execve(path.c_str(), program.argv.data(), program.environment.data());
    error = errno;
    if (!search_goes_on(error)) return error;
    denied = denied || error == EACCES;
  }
  return denied ? EACCES : error;
}

// Runs in the child, in the parent's memory: only system calls, and errno.
__attribute__((no_sanitize("address", "undefined", "thread"))) int run_child(void* argument) {
  Shared& shared = *static_cast<Shared*>(argument);
  const Program& program = shared.program;
  const auto fail = [&](SpawnError::Stage stage, int error) {
    shared.error = {stage, error};
    ::_exit(127);
  };
  if (::setpgid(0, 0) < 0 || ::prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail(SpawnError::Stage::process, errno);
  // The parent may have died before the line above.
  if (::getppid() != shared.parent) ::_exit(127);
  if (::dup2(program.in, 0) < 0 || ::dup2(program.out, 1) < 0 || ::dup2(program.err, 2) < 0)
    fail(SpawnError::Stage::process, errno);
  if (::close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0) fail(SpawnError::Stage::process, errno);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (program.directory && ::chdir(program.directory) < 0) fail(SpawnError::Stage::directory, errno);
  fail(SpawnError::Stage::program, execute(program));
  return 127;
}

}  // namespace

Spawner::Spawner()
    : stack_(::mmap(nullptr, stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1,
                    0)) {
  if (stack_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "stack");
}

Spawner::~Spawner() { ::munmap(stack_, stack_size); }

std::variant<pid_t, SpawnError> Spawner::spawn(const Program& program) {
  Shared shared{program, ::getpid()};
  // With the parent's memory instead of a copy, and the parent stopped meanwhile: the cost does not depend on
  // the parent's size.
  const pid_t pid =
      ::clone(run_child, static_cast<char*>(stack_) + stack_size, CLONE_VM | CLONE_VFORK | SIGCHLD, &shared);
  if (pid < 0) return SpawnError{SpawnError::Stage::process, errno};
  if (shared.error.errno_value == 0) return pid;
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return shared.error;
}

}  // namespace poold::worker
