#include "daemon/engine/io/byte_channel.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace poold::engine {
namespace {

// A buffer that grew for a burst is given back when it is empty.
constexpr std::size_t kept_capacity_max = 256 * 1024;

}  // namespace

using boost::asio::posix::stream_descriptor;

ByteChannel::ByteChannel(boost::asio::io_context& loop, int fd) : descriptor_(loop, fd) {}

void ByteChannel::want_read() {
  if (reading_ || !open()) return;
  reading_ = true;
  descriptor_.async_wait(stream_descriptor::wait_read,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           self->reading_ = false;
                           if (error || !self->open()) return;
                           if (const auto owner = self->owner_) owner->on_readable();
                         });
}

ByteChannel::ReadResult ByteChannel::read(std::span<char> space) {
  if (!open()) return {ReadStatus::failed};
  for (;;) {
    const ssize_t got = ::read(descriptor_.native_handle(), space.data(), space.size());
    if (got > 0) return {ReadStatus::bytes, static_cast<std::size_t>(got)};
    if (got == 0) return {ReadStatus::end};
    if (errno == EINTR) continue;
    return {errno == EAGAIN || errno == EWOULDBLOCK ? ReadStatus::would_block : ReadStatus::failed};
  }
}

void ByteChannel::flush() {
  if (writing_ || !open()) return;
  while (written_ < out_.size()) {
    const ssize_t put = ::write(descriptor_.native_handle(), out_.data() + written_, out_.size() - written_);
    if (put >= 0) {
      written_ += static_cast<std::size_t>(put);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return want_write();
    if (const auto owner = owner_) owner->on_broken();
    return;
  }
  const bool wrote = !out_.empty();
  out_.clear();
  written_ = 0;
  if (out_.capacity() > kept_capacity_max) out_.shrink_to_fit();
  if (!wrote) return;
  if (const auto owner = owner_) owner->on_drained();
}

void ByteChannel::want_write() {
  // What was written already is not kept beside what waits; but moving that for every pipeful would cost the
  // square of a large frame's size.
  if (written_ >= out_.size() / 2) out_.erase(0, std::exchange(written_, 0));
  writing_ = true;
  descriptor_.async_wait(stream_descriptor::wait_write,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           self->writing_ = false;
                           if (error || !self->open()) return;
                           self->flush();
                         });
}

bool ByteChannel::has_input() const {
  // native_handle() is not const.
  pollfd state{const_cast<stream_descriptor&>(descriptor_).native_handle(), POLLIN, 0};
  return open() && ::poll(&state, 1, 0) > 0 && (state.revents & POLLIN) != 0;
}

bool ByteChannel::peer_gone() {
  pollfd state{descriptor_.native_handle(), 0, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR)) != 0;
}

void ByteChannel::close() {
  owner_.reset();
  boost::system::error_code ignored;
  descriptor_.close(ignored);
}

}  // namespace poold::engine
