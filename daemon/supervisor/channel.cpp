#include "daemon/supervisor/channel.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/invariant.hpp"

namespace poold::supervisor {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

namespace {

// Datagrams taken before the loop sees to its other events: signals and dead workers do not wait behind a
// talkative engine.
constexpr int datagrams_per_turn = 64;

Transfer send_with_descriptors(int socket, const std::string& bytes,
                               const std::vector<FileDescriptor>& descriptors) {
  std::array<int, datagram_descriptors_max> numbers{};
  invariant(descriptors.size() <= numbers.size(), "a datagram carries few descriptors");
  std::size_t count = 0;
  for (const FileDescriptor& descriptor : descriptors) numbers[count++] = descriptor.get();
  return send_datagram(socket, bytes, std::span(numbers).first(count));
}

}  // namespace

Channel::Channel(boost::asio::io_context& io, FileDescriptor socket) : socket_(io, socket.get()) {
  socket.release();
}

void Channel::open(OnMessage on_message, OnBroken on_broken) {
  on_message_ = std::move(on_message);
  on_broken_ = std::move(on_broken);
  wait_for_input();
}

void Channel::close() {
  error_code ignored;
  socket_.close(ignored);
  outgoing_.clear();
}

void Channel::broken(ChannelEnd end, const std::string& reason) {
  close();
  on_broken_(end, reason);
}

void Channel::wait_for_input() {
  socket_.async_wait(stream_descriptor::wait_read, [self = shared_from_this()](const error_code& error) {
    if (error) return;
    for (int count = 0; count < datagrams_per_turn; ++count)
      if (!self->receive_one()) break;
    if (self->socket_.is_open()) self->wait_for_input();
  });
}

void Channel::drain() {
  while (receive_one()) {
  }
}

bool Channel::receive_one() {
  if (!socket_.is_open()) return false;
  switch (receive_datagram(socket_.native_handle(), incoming_)) {
    case Transfer::would_block:
      return false;
    case Transfer::closed:
      broken(ChannelEnd::closed, "it closed its channel");
      return false;
    case Transfer::failed:
      broken(ChannelEnd::failed, std::string("its channel failed: ") + std::strerror(errno));
      return false;
    case Transfer::done:
      break;
  }
  internal::ToSupervisor message;
  if (!message.ParseFromString(incoming_.bytes)) {
    broken(ChannelEnd::failed, "it sent what is no message");
    return false;
  }
  on_message_(message, std::exchange(incoming_.descriptors, {}));
  return true;
}

void Channel::send(const internal::ToEngine& message, std::vector<FileDescriptor> descriptors) {
  if (!socket_.is_open() || deaf_) return;
  if (outgoing_.size() >= channel_queue_max)
    return broken(ChannelEnd::failed, "it does not read its channel");
  outgoing_.push_back({message.SerializeAsString(), std::move(descriptors)});
  if (!waits_for_room_) flush();
}

void Channel::flush() {
  while (!outgoing_.empty()) {
    const Outgoing& next = outgoing_.front();
    switch (send_with_descriptors(socket_.native_handle(), next.bytes, next.descriptors)) {
      case Transfer::done:
        outgoing_.pop_front();
        break;
      case Transfer::would_block:
        waits_for_room_ = true;
        socket_.async_wait(stream_descriptor::wait_write,
                           [self = shared_from_this()](const error_code& error) {
                             self->waits_for_room_ = false;
                             if (!error) self->flush();
                           });
        return;
      case Transfer::closed:
        // What it said before is still there to be read, and its end comes after that.
        deaf_ = true;
        return outgoing_.clear();
      case Transfer::failed:
        return broken(ChannelEnd::failed, std::string("its channel failed: ") + std::strerror(errno));
    }
  }
}

}  // namespace poold::supervisor
