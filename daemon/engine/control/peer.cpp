#include "daemon/engine/control/peer.hpp"

#include <sys/socket.h>
#include <cerrno>

namespace poold::engine {

namespace {

std::vector<std::uint32_t> groups_of(int socket) {
  static_assert(sizeof(gid_t) == sizeof(std::uint32_t));
  std::vector<std::uint32_t> groups(32);
  for (;;) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0) {
      groups.resize(size / sizeof(gid_t));
      return groups;
    }
    if (errno != ERANGE) return {};
    groups.resize(size / sizeof(gid_t));
  }
}

}  // namespace

std::optional<Peer> peer_of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0 || credentials.pid == 0)
    return std::nullopt;
  return Peer{credentials.uid, credentials.gid, credentials.pid, groups_of(socket)};
}

}  // namespace poold::engine
