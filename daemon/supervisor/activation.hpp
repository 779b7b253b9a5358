// The listening socket that a service manager made and passed on (sd_listen_fds(3)): found, checked, taken.
#pragma once

#include <string>
#include <variant>

#include "common/seqpacket.hpp"
#include "daemon/supervisor/ownership.hpp"

namespace poold::supervisor {

struct PassedSocket {
  FileDescriptor socket;  // invalid: none was passed
  std::string path;       // where it is bound
};

// Reads LISTEN_PID and LISTEN_FDS. To be called once, before anything else is opened: the descriptors are
// numbered. Exactly one is accepted, a listening Unix stream socket with a path.
std::variant<PassedSocket, Refusal> take_passed_socket();

}  // namespace poold::supervisor
