#include "daemon/supervisor/control_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/endpoint.hpp"
#include "daemon/supervisor/text.hpp"

namespace poold::supervisor {
namespace {

static_assert(sizeof(sockaddr_un{}.sun_path) == socket_path_max + 1);

Refusal failed(const std::string& path, const char* what) {
  return {"socket " + path + ": " + what + ": " + std::strerror(errno)};
}

std::variant<std::monostate, Refusal> clear_place(const std::string& path) {
  struct stat status;
  if (::lstat(path.c_str(), &status) < 0) {
    if (errno == ENOENT) return std::monostate{};
    return failed(path, "cannot be looked at");
  }
  const char* kind = S_ISREG(status.st_mode)   ? "a regular file"
                     : S_ISDIR(status.st_mode) ? "a directory"
                     : S_ISLNK(status.st_mode) ? "a symbolic link"
                                               : "no socket";
  if (!S_ISSOCK(status.st_mode))
    return Refusal{"socket " + path + ": there is " + kind + " in its place, which is not touched"};
  if (::unlink(path.c_str()) < 0) return failed(path, "the old socket cannot be removed");
  return std::monostate{};
}

}  // namespace

std::variant<std::monostate, Refusal> prepare_socket_directory(const std::string& path) {
  if (path.size() > socket_path_max)
    return Refusal{"socket " + path + ": the path is " + std::to_string(path.size()) +
                   " bytes long, and at most " + std::to_string(socket_path_max) + " are possible"};
  const unsigned mode = ::geteuid() == 0 ? 0755 : 0700;
  return make_directory(path.substr(0, path.find_last_of('/')), mode, mode);
}

std::variant<ControlSocket, Refusal> ControlSocket::bind(const std::string& path) {
  if (auto cleared = clear_place(path); auto* refusal = std::get_if<Refusal>(&cleared))
    return std::move(*refusal);
  ControlSocket control(path,
                        FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  if (!control.socket_.valid()) return failed(path, "cannot be made");

  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  // The file gets its final mode at once: there is no moment in which others could connect. A daemon of root
  // serves its socket's group.
  const mode_t before = ::umask(::geteuid() == 0 ? 0117 : 0177);
  const int bound =
      ::bind(control.socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(before);
  if (bound < 0) return failed(path, "cannot be bound");
  struct stat status;
  if (::lstat(path.c_str(), &status) < 0) return failed(path, "cannot be looked at");
  control.device_ = status.st_dev;
  control.inode_ = status.st_ino;
  if (::listen(control.socket_.get(), SOMAXCONN) < 0) return failed(path, "cannot be listened on");
  return control;
}

std::variant<ControlSocket, Refusal> ControlSocket::adopt(const std::string& path, PassedSocket passed) {
  struct stat wanted, given;
  const bool same = path == passed.path ||
                    (::stat(path.c_str(), &wanted) == 0 && ::stat(passed.path.c_str(), &given) == 0 &&
                     wanted.st_dev == given.st_dev && wanted.st_ino == given.st_ino);
  if (!same)
    return Refusal{"socket " + path + ": the service manager has passed another one, " +
                   printable(passed.path) + "; leave the choice to it, or name the same path"};
  return ControlSocket(path, std::move(passed.socket));
}

void ControlSocket::remove() {
  struct stat status;
  if (::lstat(path_.c_str(), &status) < 0) return;
  if (status.st_dev == device_ && status.st_ino == inode_) ::unlink(path_.c_str());
}

}  // namespace poold::supervisor
