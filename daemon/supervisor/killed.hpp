// Waiting for the end of a process that was killed and is not this program's child.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>

#include "common/seqpacket.hpp"

namespace poold::supervisor {

// Calls `then` when the process of this pidfd is gone. `watch` is used for it, and may have been before;
// closing it calls nothing.
void when_killed_is_gone(boost::asio::posix::stream_descriptor& watch, FileDescriptor process,
                         std::function<void()> then);

}  // namespace poold::supervisor
