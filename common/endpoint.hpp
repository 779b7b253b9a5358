// Where the control socket is: the one order of places that daemon and clients share.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace poold {

inline constexpr std::string_view system_socket_path = "/run/poold/control.sock";
// sockaddr_un's room for a path, its final zero byte taken off.
inline constexpr std::size_t socket_path_max = 107;

// The daemon's own choice, the first that is set: `option` (--socket), POOLD_SOCKET,
// $XDG_RUNTIME_DIR/poold/control.sock, /run/poold/control.sock.
std::string daemon_socket_path(std::string_view option);

// A client's choice: `option` or POOLD_SOCKET if given, else the first of the two places that exists, else
// the system's.
std::string client_socket_path(std::string_view option);

// Where the daemon keeps its state, the first that is set: `option` (--state-dir), STATE_DIRECTORY (its first
// entry), $XDG_STATE_HOME/poold, $HOME/.local/state/poold for a user that is not root, /var/lib/poold.
std::string daemon_state_directory(std::string_view option);

}  // namespace poold
