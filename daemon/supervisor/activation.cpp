#include "daemon/supervisor/activation.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "common/endpoint.hpp"
#include "daemon/supervisor/text.hpp"

namespace poold::supervisor {
namespace {

// The first passed descriptor, as the protocol has it.
constexpr int descriptor_first = 3;

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

Refusal refused(const std::string& reason) { return {"the socket passed as descriptor 3: " + reason}; }

// An answer of getsockopt, or -1.
int option(int socket, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(socket, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

std::variant<std::string, Refusal> bound_path(int socket) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) < 0)
    return refused(std::strerror(errno));
  const std::size_t length = size - offsetof(sockaddr_un, sun_path);
  if (size <= offsetof(sockaddr_un, sun_path) || address.sun_path[0] == '\0')
    return refused("it has no path; accepted: ListenStream= with an absolute path");
  return std::string(address.sun_path, ::strnlen(address.sun_path, length));
}

}  // namespace

std::variant<PassedSocket, Refusal> take_passed_socket() {
  const std::string_view count = variable("LISTEN_FDS"), pid = variable("LISTEN_PID");
  // Meant for another process, which let us inherit the words.
  if (count.empty() || count == "0" || pid != std::to_string(::getpid())) return PassedSocket{};
  if (count != "1")
    return Refusal{"LISTEN_FDS=" + printable(count) + ": one socket is served; pass one, of a stream type"};
  if (option(descriptor_first, SO_DOMAIN) != AF_UNIX)
    return refused("it is no Unix socket; accepted: ListenStream= with an absolute path");
  if (option(descriptor_first, SO_TYPE) != SOCK_STREAM)
    return refused("it is no stream socket; accepted: ListenStream=");
  if (option(descriptor_first, SO_ACCEPTCONN) != 1) return refused("it does not listen; Accept= must be no");
  auto path = bound_path(descriptor_first);
  if (auto* refusal = std::get_if<Refusal>(&path)) return std::move(*refusal);
  // Away from the low numbers, which a child's own descriptors take.
  FileDescriptor socket(::fcntl(descriptor_first, F_DUPFD_CLOEXEC, 16));
  if (!socket.valid() || ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) | O_NONBLOCK) < 0)
    return refused(std::strerror(errno));
  ::close(descriptor_first);
  return PassedSocket{std::move(socket), std::get<std::string>(std::move(path))};
}

}  // namespace poold::supervisor
