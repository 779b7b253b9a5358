// Who is at the other end of a client's socket, as the kernel knows it, and what that one may do.
#pragma once

#include <cstdint>
#include <optional>

namespace poold::engine {

struct Peer {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int32_t pid = 0;
};

// SO_PEERCRED; nothing where the kernel does not say.
std::optional<Peer> peer_of(int socket);

// The daemon's own user and root.
bool is_allowed(const Peer& peer);

}  // namespace poold::engine
