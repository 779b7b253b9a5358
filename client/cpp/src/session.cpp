#include "client/cpp/src/session.hpp"

#include <dirent.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <vector>

// glibc 2.36 forgot to say that these are C.
extern "C" {
#include <sys/pidfd.h>
}

#include "common/seqpacket.hpp"

namespace poold::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto patience = milliseconds(500);

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

bool has_ended(int pidfd) {
  pollfd poll{pidfd, POLLIN, 0};
  return ::poll(&poll, 1, 0) > 0;
}

// The living members of the session other than this process, each with the signal sent.
std::vector<FileDescriptor> kill_members(pid_t session) {
  std::vector<FileDescriptor> killed;
  const std::unique_ptr<DIR, CloseDirectory> processes(::opendir("/proc"));
  if (!processes) return killed;
  const pid_t self = ::getpid();
  while (const dirent* entry = ::readdir(processes.get())) {
    pid_t pid = 0;
    const char* const end = entry->d_name + std::strlen(entry->d_name);
    if (std::from_chars(entry->d_name, end, pid).ptr != end || pid == self || ::getsid(pid) != session)
      continue;
    FileDescriptor pidfd(::pidfd_open(pid, 0));
    if (!pidfd.valid() && (errno == EMFILE || errno == ENFILE)) ::kill(pid, SIGKILL);
    // Asked again: the number may have gone to another process before it was held. The dead that nobody has
    // reaped still have a session.
    if (!pidfd.valid() || ::getsid(pid) != session || has_ended(pidfd.get())) continue;
    ::pidfd_send_signal(pidfd.get(), SIGKILL, nullptr, 0);
    killed.push_back(std::move(pidfd));
  }
  return killed;
}

void wait_for_end(const std::vector<FileDescriptor>& processes, steady_clock::time_point until) {
  for (const auto& process : processes) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now()).count();
    if (left <= 0) return;
    pollfd poll{process.get(), POLLIN, 0};
    ::poll(&poll, 1, static_cast<int>(left));
  }
}

}  // namespace

void end_with_session(int exit_code) {
  const pid_t session = ::getsid(0);
  if (session == ::getpid()) {
    const auto until = steady_clock::now() + patience;
    // A process may fork between the look and the signal, so one more look is needed until it finds nobody.
    for (auto killed = kill_members(session); !killed.empty() && steady_clock::now() < until;
         killed = kill_members(session))
      wait_for_end(killed, until);
  }
  ::_exit(exit_code);
}

}  // namespace poold::worker
