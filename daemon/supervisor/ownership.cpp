#include "daemon/supervisor/ownership.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "daemon/supervisor/pidfd.hpp"

namespace poold::supervisor {
namespace {

using Clock = std::chrono::steady_clock;

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

struct Free {};
struct Holder {
  pid_t pid;
};
// Who holds the lock on this open file; an errno if the kernel cannot say.
std::variant<Free, Holder, int> holder_of(const FileDescriptor& file) {
  struct flock lock = whole_file();
  if (::fcntl(file.get(), F_GETLK, &lock) < 0) return errno;
  if (lock.l_type == F_UNLCK) return Free{};
  return Holder{lock.l_pid};
}

// The kernel names nobody where the holder is in another pid namespace, or where the lock belongs to an open
// file.
std::string holder_text(pid_t pid) {
  return pid > 0 ? "process " + std::to_string(pid) : "a process that is not visible here";
}

Refusal failed(const std::string& path) { return {path + ": " + std::strerror(errno)}; }

}  // namespace

std::variant<FileLock, Refusal> FileLock::take(const std::string& path, const std::string& what) {
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!file.valid()) return failed(path);
  struct stat status;
  if (::fstat(file.get(), &status) < 0) return failed(path);
  if (!S_ISREG(status.st_mode)) return Refusal{path + ": is no regular file, so it cannot be a lock"};
  for (;;) {
    struct flock lock = whole_file();
    if (::fcntl(file.get(), F_SETLK, &lock) == 0) return FileLock(std::move(file));
    if (errno != EAGAIN && errno != EACCES) return failed(path);
    const std::variant<Free, Holder, int> found = holder_of(file);
    if (const Holder* holder = std::get_if<Holder>(&found))
      return Refusal{what + " belongs to another poold, " + holder_text(holder->pid)};
    if (const int* error = std::get_if<int>(&found)) return Refusal{path + ": " + std::strerror(*error)};
    // Free: the holder has just gone.
  }
}

std::variant<std::monostate, Refusal> wait_for_engine_lock(const std::string& path,
                                                           std::chrono::milliseconds patience) {
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.valid()) {
    if (errno == ENOENT) return std::monostate{};
    return failed(path);
  }
  const Clock::time_point deadline = Clock::now() + patience;
  for (;;) {
    const std::variant<Free, Holder, int> found = holder_of(file);
    if (std::holds_alternative<Free>(found)) return std::monostate{};
    if (const int* error = std::get_if<int>(&found)) return Refusal{path + ": " + std::strerror(*error)};
    const pid_t pid = std::get<Holder>(found).pid;
    const Refusal refusal{path + " is still locked by an engine, " + holder_text(pid)};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    const FileDescriptor pidfd(pid > 0 ? ::pidfd_open(pid, 0) : -1);
    if (!pidfd.valid()) {
      // It may have ended since it was named; the next look then shows somebody else or nobody.
      const std::variant<Free, Holder, int> again = holder_of(file);
      const Holder* holder = std::get_if<Holder>(&again);
      if (holder && holder->pid == pid) return refusal;
      continue;
    }
    pollfd poll{pidfd.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&poll, 1, static_cast<int>(left.count())) == 0) return refusal;
  }
}

std::variant<std::monostate, Refusal> make_directory(const std::string& path, unsigned mode,
                                                     unsigned parents_mode) {
  struct stat status;
  if (::stat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) return std::monostate{};
    return Refusal{path + ": is no directory"};
  }
  if (errno != ENOENT) return failed(path);
  const std::size_t slash = path.find_last_of('/');
  if (slash != std::string::npos && slash > 0) {
    auto made = make_directory(path.substr(0, slash), parents_mode, parents_mode);
    if (std::holds_alternative<Refusal>(made)) return made;
  }
  if (::mkdir(path.c_str(), mode) < 0 && errno != EEXIST) return failed(path);
  return std::monostate{};
}

}  // namespace poold::supervisor
