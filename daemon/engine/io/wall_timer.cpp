#include "daemon/engine/io/wall_timer.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace poold::engine {

WallTimer::WallTimer(boost::asio::io_context& loop, std::function<void(bool)> ring)
    : descriptor_(loop), ring_(std::move(ring)) {
  const int fd = ::timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  descriptor_.assign(fd);
}

void WallTimer::set(std::optional<std::int64_t> at) {
  if (at == at_) return;
  at_ = at;
  itimerspec spec{};
  if (at) spec.it_value.tv_sec = *at > 0 ? *at : 1;
  ::timerfd_settime(descriptor_.native_handle(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, nullptr);
  if (at && !std::exchange(waiting_, true)) wait();
}

void WallTimer::wait() {
  descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [this](const boost::system::error_code& error) {
                           if (error) return;
                           std::uint64_t count = 0;
                           const ssize_t got = ::read(descriptor_.native_handle(), &count, sizeof count);
                           waiting_ = false;
                           // Nothing there: it was set anew meanwhile.
                           const bool clock_set = got < 0 && errno == ECANCELED;
                           if (got > 0 || clock_set) {
                             at_.reset();
                             return ring_(clock_set);
                           }
                           if (at_ && !std::exchange(waiting_, true)) wait();
                         });
}

}  // namespace poold::engine
