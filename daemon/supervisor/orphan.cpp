#include "daemon/supervisor/orphan.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <charconv>
#include <csignal>
#include <cstring>
#include <utility>

#include "daemon/supervisor/killed.hpp"
#include "daemon/supervisor/pidfd.hpp"

namespace poold::supervisor {
namespace {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// The environment that it was started with has this variable. A session's number may have gone to another's
// session since its leader ended; that one was not started for this pool.
bool started_with(pid_t pid, const std::string& variable) {
  const FileDescriptor file(
      ::open(("/proc/" + std::to_string(pid) + "/environ").c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return false;
  std::string text(1, '\0');
  char part[4096];
  for (ssize_t got; (got = ::read(file.get(), part, sizeof part)) > 0;)
    text.append(part, static_cast<std::size_t>(got));
  text += '\0';
  return text.find('\0' + variable + '\0') != std::string::npos;
}

bool has_ended(const FileDescriptor& process) {
  pollfd poll{process.get(), POLLIN, 0};
  return ::poll(&poll, 1, 0) > 0;
}

// Sends SIGKILL to every living member of the session; a pidfd of one of them, invalid if there was none.
FileDescriptor kill_members(pid_t session, const std::string& variable) {
  FileDescriptor one;
  const std::unique_ptr<DIR, CloseDirectory> processes(::opendir("/proc"));
  if (!processes) return one;
  while (const dirent* entry = ::readdir(processes.get())) {
    pid_t pid = 0;
    const char* const end = entry->d_name + std::strlen(entry->d_name);
    if (std::from_chars(entry->d_name, end, pid).ptr != end || ::getsid(pid) != session) continue;
    FileDescriptor process(::pidfd_open(pid, 0));
    // Asked again: the number may have gone to another process before it was held.
    if (!process.valid() || ::getsid(pid) != session || has_ended(process) || !started_with(pid, variable))
      continue;
    ::pidfd_send_signal(process.get(), SIGKILL, nullptr, 0);
    one = std::move(process);
  }
  return one;
}

}  // namespace

Orphan::Orphan(boost::asio::io_context& io, pid_t pid, const std::string& pool, FileDescriptor process)
    : pid_(pid), variable_("POOLD_POOL=" + pool), process_(process.get()), watch_(io), member_(io) {
  if (was_alive()) watch_.assign(process.release());
}

void Orphan::watch(Gone gone) {
  gone_ = std::move(gone);
  if (!was_alive()) {
    boost::asio::post(watch_.get_executor(), [self = shared_from_this()] { self->end_session(); });
    return;
  }
  watch_.async_wait(stream_descriptor::wait_read, [self = shared_from_this()](const error_code& error) {
    if (!error) self->end_session();
  });
}

void Orphan::signal(int number) const {
  if (was_alive()) ::pidfd_send_signal(process_, number, nullptr, 0);
}

void Orphan::end_session() {
  FileDescriptor member = kill_members(pid_, variable_);
  if (!member.valid()) {
    const Gone gone = std::exchange(gone_, nullptr);
    return gone();
  }
  when_killed_is_gone(member_, std::move(member), [self = shared_from_this()] { self->end_session(); });
}

}  // namespace poold::supervisor
