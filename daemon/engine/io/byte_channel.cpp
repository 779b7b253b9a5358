#include "daemon/engine/io/byte_channel.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>
#include <utility>
#include <vector>

namespace poold::engine {
namespace {

// A buffer that grew for a burst is given back when it is empty.
constexpr std::size_t kept_capacity_max = 256 * 1024;
// So many descriptors may come before frames that name them.
constexpr std::size_t received_max = 64;

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
    const ssize_t got = receives_descriptors_
                            ? read_with_descriptors(space)
                            : ::read(descriptor_.native_handle(), space.data(), space.size());
    if (got > 0) return {ReadStatus::bytes, static_cast<std::size_t>(got)};
    if (got == 0) return {ReadStatus::end};
    if (errno == EINTR) continue;
    return {errno == EAGAIN || errno == EWOULDBLOCK ? ReadStatus::would_block : ReadStatus::failed};
  }
}

// A read ends behind bytes with descriptors, so that it brings those of one write at most.
ssize_t ByteChannel::read_with_descriptors(std::span<char> space) {
  std::vector<FileDescriptor> came;
  bool cut;
  const ssize_t got = receive_with(descriptor_.native_handle(), space, came, cut);
  if (got < 0) return got;
  std::move(came.begin(), came.end(), std::back_inserter(received_));
  if (!cut && received_.size() <= received_max) return got;
  // Some are lost, or nobody names them.
  errno = EMSGSIZE;
  return -1;
}

FileDescriptor ByteChannel::take_descriptor() {
  if (received_.empty()) return FileDescriptor();
  FileDescriptor first = std::move(received_.front());
  received_.pop_front();
  return first;
}

void ByteChannel::send_beside(std::shared_ptr<const FileDescriptor> descriptor) {
  beside_.push_back({dropped_ + out_.size(), std::move(descriptor)});
}

// As much as has no descriptor, or one descriptor with the bytes behind it.
ssize_t ByteChannel::write_some() {
  const int socket = descriptor_.native_handle();
  const char* begin = out_.data() + written_;
  const std::size_t size = out_.size() - written_;
  if (beside_.empty()) return ::write(socket, begin, size);
  const std::size_t before = beside_.front().at - dropped_ - written_;
  if (before > 0) return ::write(socket, begin, before);
  const std::size_t end = beside_.size() > 1 ? beside_[1].at - dropped_ - written_ : size;
  const int descriptor[] = {beside_.front().descriptor->get()};
  const ssize_t put = send_with(socket, {begin, end}, descriptor);
  if (put > 0) beside_.pop_front();
  return put;
}

void ByteChannel::flush() {
  if (writing_ || !open()) return;
  while (written_ < out_.size()) {
    const ssize_t put = write_some();
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
  dropped_ += out_.size();
  out_.clear();
  written_ = 0;
  if (out_.capacity() > kept_capacity_max) out_.shrink_to_fit();
  if (!wrote) return;
  if (const auto owner = owner_) owner->on_drained();
}

void ByteChannel::want_write() {
  // What was written already is not kept beside what waits; but moving that for every pipeful would cost the
  // square of a large frame's size.
  if (written_ >= out_.size() / 2) {
    dropped_ += written_;
    out_.erase(0, std::exchange(written_, 0));
  }
  writing_ = true;
  descriptor_.async_wait(stream_descriptor::wait_write,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           self->writing_ = false;
                           if (error || !self->open()) return;
                           self->flush();
                         });
}

bool ByteChannel::has_input(std::chrono::milliseconds patience) const {
  // native_handle() is not const.
  pollfd state{const_cast<stream_descriptor&>(descriptor_).native_handle(), POLLIN, 0};
  return open() && ::poll(&state, 1, static_cast<int>(patience.count())) > 0 && (state.revents & POLLIN) != 0;
}

bool ByteChannel::peer_gone() {
  pollfd state{descriptor_.native_handle(), 0, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR)) != 0;
}

FileDescriptor ByteChannel::duplicate() {
  return FileDescriptor(::fcntl(descriptor_.native_handle(), F_DUPFD_CLOEXEC, 0));
}

void ByteChannel::close() {
  owner_.reset();
  beside_.clear();
  received_.clear();
  boost::system::error_code ignored;
  descriptor_.close(ignored);
}

}  // namespace poold::engine
