#include "daemon/engine/control/peer.hpp"

#include <sys/socket.h>
#include <unistd.h>

namespace poold::engine {

std::optional<Peer> peer_of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0 || credentials.pid == 0)
    return std::nullopt;
  return Peer{credentials.uid, credentials.gid, credentials.pid};
}

bool is_allowed(const Peer& peer) { return peer.uid == 0 || peer.uid == ::geteuid(); }

}  // namespace poold::engine
