#include "daemon/supervisor/killed.hpp"

#include <poll.h>

#include <utility>

namespace poold::supervisor {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

void when_killed_is_gone(stream_descriptor& watch, FileDescriptor process, std::function<void()> then) {
  error_code error;
  watch.close(error);
  watch.assign(process.get(), error);
  if (error) {
    // The kernel has no memory for one more watch. The process was killed: its end is near enough to stand
    // still for.
    pollfd poll{process.get(), POLLIN, 0};
    ::poll(&poll, 1, -1);
    return then();
  }
  process.release();
  watch.async_wait(stream_descriptor::wait_read, [then = std::move(then)](const error_code& waited) {
    if (!waited) then();
  });
}

}  // namespace poold::supervisor
