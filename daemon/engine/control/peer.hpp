// Who is at the other end of a client's socket, as the kernel knows it. What that one may do is in
// rights.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace poold::engine {

struct Peer {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int32_t pid = 0;
  std::vector<std::uint32_t> groups;  // supplementary
};

// SO_PEERCRED and SO_PEERGROUPS; nothing where the kernel does not say.
std::optional<Peer> peer_of(int socket);

}  // namespace poold::engine
