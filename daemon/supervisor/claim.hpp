// All that a daemon must own before it starts anything: its two locks, the state directory, the listening
// socket. Taken in one go, or refused with one line; given up when the object goes.
#pragma once

#include <variant>

#include "daemon/supervisor/configuration.hpp"
#include "daemon/supervisor/control_socket.hpp"
#include "daemon/supervisor/ownership.hpp"

namespace poold::supervisor {

class Claim {
 public:
  static std::variant<Claim, Refusal> take(const Places& places);

  const Places& places() const { return places_; }
  ControlSocket& socket() { return socket_; }

 private:
  Claim(Places places, FileLock socket_lock, FileLock state_lock, ControlSocket socket);

  Places places_;
  FileLock socket_lock_;
  FileLock state_lock_;
  ControlSocket socket_;
};

}  // namespace poold::supervisor
