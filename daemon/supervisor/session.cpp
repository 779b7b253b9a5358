#include "daemon/supervisor/session.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/invariant.hpp"
#include "daemon/supervisor/pidfd.hpp"

namespace poold::supervisor {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// Appends the children of one thread. A thread or process that is gone has none.
void append_children(const std::string& path, std::vector<pid_t>& children) {
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return;
  std::string text;
  char part[4096];
  ssize_t got;
  while ((got = ::read(file.get(), part, sizeof part)) > 0) text.append(part, static_cast<std::size_t>(got));
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    pid_t pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error != std::errc{}) break;
    children.push_back(pid);
    at = next + 1;  // one space after each
  }
}

void append_children_of(pid_t pid, std::vector<pid_t>& children) {
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(tasks.c_str()));
  if (!directory) return;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_name[0] == '.') continue;
    append_children(tasks + "/" + entry->d_name + "/children", children);
  }
}

bool has_ended(const FileDescriptor& pidfd) {
  pollfd poll{pidfd.get(), POLLIN, 0};
  return ::poll(&poll, 1, 0) > 0;
}

// The supervisor's children that have not been seen.
void append_new_children(const std::unordered_set<pid_t>& seen, std::vector<pid_t>& children) {
  append_children_of(::getpid(), children);
  std::erase_if(children, [&](pid_t child) { return seen.contains(child); });
}

// A living member of the session is killed and its pidfd returned.
FileDescriptor kill_member(pid_t pid, pid_t session) {
  // Opened before the session is asked: if the number has gone to another process in between, the signal does
  // not reach that one.
  FileDescriptor pidfd(::pidfd_open(pid, 0));
  if (!pidfd.valid() || ::getsid(pid) != session || has_ended(pidfd)) return FileDescriptor();
  ::pidfd_send_signal(pidfd.get(), SIGKILL, nullptr, 0);
  return pidfd;
}

}  // namespace

void OwnChildren::add(pid_t pid) {
  invariant(pids_.insert(pid).second, "a pid is one child's until it is reaped");
}

void OwnChildren::remove(pid_t pid) { invariant(pids_.erase(pid) == 1, "only known children are reaped"); }

FileDescriptor kill_session(pid_t session, const OwnChildren& own) {
  FileDescriptor one;
  std::unordered_set<pid_t> seen;
  std::vector<pid_t> pending;
  // A process that dies between being listed and being looked at leaves its children to the supervisor, where
  // they were not listed yet: nobody is missed only if in the end nobody new is there.
  for (append_new_children(seen, pending); !pending.empty(); append_new_children(seen, pending)) {
    while (!pending.empty()) {
      const pid_t pid = pending.back();
      pending.pop_back();
      if (!seen.insert(pid).second || own.has(pid)) continue;
      // A process of another worker's session has none of this session's below it: sessions are left, never
      // joined.
      const pid_t its_session = ::getsid(pid);
      if (its_session != session && own.has(its_session)) continue;
      // Below it, too: a member may be the child of a process that has left the session.
      append_children_of(pid, pending);
      if (FileDescriptor pidfd = kill_member(pid, session); pidfd.valid()) one = std::move(pidfd);
    }
  }
  return one;
}

void reap_strangers(const OwnChildren& own) {
  siginfo_t info{};
  // The quick way, for as long as the first dead child that the kernel finds is a stranger.
  do {
    info.si_pid = 0;
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) return;
  } while (!own.has(info.si_pid) && ::waitpid(info.si_pid, nullptr, WNOHANG) == info.si_pid);
  // One of ours, which stays until its session is gone; there may be strangers behind it.
  std::vector<pid_t> children;
  append_children_of(::getpid(), children);
  for (const pid_t pid : children)
    if (!own.has(pid)) ::waitpid(pid, nullptr, WNOHANG);
}

}  // namespace poold::supervisor
