// All that a daemon must own before it starts anything: its two locks, the state directory, the listening
// socket. Taken in one go, or refused with one line; given up when the object goes.
#pragma once

#include <variant>

#include "daemon/supervisor/activation.hpp"
#include "daemon/supervisor/configuration.hpp"
#include "daemon/supervisor/control_socket.hpp"
#include "daemon/supervisor/ownership.hpp"

namespace poold::supervisor {

class Claim {
 public:
  // With a passed socket none is made; it must be the one that stands at `places.socket`.
  static std::variant<Claim, Refusal> take(const Places& places, PassedSocket passed = {});

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
