#include "client/cpp/src/socket.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "client/cpp/poold/error.hpp"
#include "common/endpoint.hpp"

namespace poold {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

int remaining_ms(const Deadline& deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<milliseconds>(*deadline - steady_clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, INT_MAX));
}

// Zero means no limit to the kernel.
void set_send_timeout(int fd, milliseconds timeout) {
  timeval value{};
  value.tv_sec = timeout.count() / 1000;
  value.tv_usec = timeout.count() % 1000 * 1000;
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);
}

[[noreturn]] void throw_unreachable(const std::string& path, int error) {
  const std::string place = "cannot connect to " + path + ": ";
  if (error == EACCES || error == EPERM)
    throw Unreachable(Code::permission_denied, place + error_text(error));
  if (error == EAGAIN)
    throw Unreachable(Code::unavailable, place + "the daemon did not take the connection in time");
  throw Unreachable(Code::unavailable, place + error_text(error));
}

}  // namespace

std::string error_text(int errno_value) { return std::generic_category().message(errno_value); }

Deadline deadline_after(milliseconds timeout) {
  if (timeout.count() < 0) return {};
  return steady_clock::now() + timeout;
}

FileDescriptor connect_to(const std::string& path, milliseconds timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() > socket_path_max)
    throw Unreachable(Code::unavailable, "cannot connect to " + path + ": the path is longer than 107 bytes");
  std::memcpy(address.sun_path, path.data(), path.size());

  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) throw_unreachable(path, errno);
  // A non-blocking connect to a full backlog fails at once with EAGAIN; a blocking one waits for room, for as
  // long as SO_SNDTIMEO says.
  const Deadline deadline = deadline_after(timeout);
  for (;;) {
    set_send_timeout(socket.get(), milliseconds(std::max(1, remaining_ms(deadline))));
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) break;
    if (errno != EINTR) throw_unreachable(path, errno);
  }
  return socket;
}

short wait_for(int fd, short events, const Deadline& deadline) {
  for (;;) {
    pollfd entry{fd, events, 0};
    const int n = ::poll(&entry, 1, remaining_ms(deadline));
    if (n > 0) return entry.revents;
    if (n == 0) return 0;
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "poll");
  }
}

std::optional<std::size_t> try_receive(int fd, std::span<char> space) {
  for (;;) {
    const ssize_t n = ::recv(fd, space.data(), space.size(), MSG_DONTWAIT);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EAGAIN) return {};
    if (errno != EINTR) return 0;
  }
}

std::optional<std::size_t> try_send(int fd, std::string_view bytes) {
  for (;;) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EAGAIN) return 0;
    if (errno != EINTR) return {};
  }
}

std::optional<std::size_t> try_receive_with(int fd, std::span<char> space,
                                            std::deque<FileDescriptor>& descriptors) {
  std::vector<FileDescriptor> came;
  bool cut;
  const ssize_t n = receive_with(fd, space, came, cut);
  if (n < 0) return errno == EAGAIN ? std::nullopt : std::optional<std::size_t>(0);
  std::move(came.begin(), came.end(), std::back_inserter(descriptors));
  return static_cast<std::size_t>(n);
}

std::optional<std::size_t> try_send_with(int fd, std::string_view bytes, int descriptor) {
  const ssize_t n = send_with(fd, bytes, {&descriptor, 1});
  if (n >= 0) return static_cast<std::size_t>(n);
  return errno == EAGAIN ? std::optional<std::size_t>(0) : std::nullopt;
}

std::size_t receive_some(int fd, std::span<char> space, const Deadline& deadline) {
  for (;;) {
    if (const auto n = try_receive(fd, space)) return *n;
    if (wait_for(fd, POLLIN, deadline) == 0)
      throw ConnectionLost(Code::deadline_exceeded, "the daemon did not answer in time");
  }
}

}  // namespace poold
