// The listening socket: made by the supervisor, so that it outlives engines and clients wait in its backlog
// while one is replaced; accepted from by the engine only.
#pragma once

#include <sys/types.h>

#include <string>
#include <variant>

#include "common/seqpacket.hpp"
#include "daemon/supervisor/activation.hpp"
#include "daemon/supervisor/ownership.hpp"

namespace poold::supervisor {

class ControlSocket {
 public:
  // Binds and listens. The caller must hold the socket's lock: a socket file that is there already is then
  // nobody's, and is replaced. Anything else in its place is refused and left alone.
  static std::variant<ControlSocket, Refusal> bind(const std::string& path);

  // Takes a socket that a service manager has bound, and which stays its own: it is not removed. Refuses one
  // that is bound elsewhere.
  static std::variant<ControlSocket, Refusal> adopt(const std::string& path, PassedSocket passed);

  const std::string& path() const { return path_; }
  int descriptor() const { return socket_.get(); }
  // Takes the file away, if it is still the one that was bound here.
  void remove();

 private:
  ControlSocket(std::string path, FileDescriptor socket)
      : path_(std::move(path)), socket_(std::move(socket)) {}

  std::string path_;
  FileDescriptor socket_;
  // Of the file that was bound here; an inode 0 is none.
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// Makes the directory that the socket and its lock file stand in, and checks that the kernel can take the
// path.
std::variant<std::monostate, Refusal> prepare_socket_directory(const std::string& path);

}  // namespace poold::supervisor
