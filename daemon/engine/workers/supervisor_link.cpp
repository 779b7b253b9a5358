#include "daemon/engine/workers/supervisor_link.hpp"

#include <poll.h>

#include <utility>

namespace poold::engine {

using boost::asio::posix::stream_descriptor;

SupervisorLink::SupervisorLink(boost::asio::io_context& loop, int socket, Received received, Closed closed)
    : socket_(loop, socket), received_(std::move(received)), closed_(std::move(closed)) {}

void SupervisorLink::want_read() {
  socket_.async_wait(stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return closed_();
    read_all_datagrams();
  });
}

void SupervisorLink::read_all_datagrams() {
  Datagram datagram;
  for (;;) {
    switch (receive_datagram(socket_.native_handle(), datagram)) {
      case Transfer::would_block:
        return want_read();
      case Transfer::closed:
      case Transfer::failed:
        return closed_();
      case Transfer::done:
        break;
    }
    internal::ToEngine message;
    // An older engine may not know all that a newer supervisor says; nothing of it is lost on purpose.
    if (message.ParseFromString(datagram.bytes)) received_(message, std::move(datagram.descriptors));
  }
}

void SupervisorLink::send(const internal::ToSupervisor& message, std::vector<FileDescriptor> descriptors) {
  queue_.push_back({message.SerializeAsString(), std::move(descriptors)});
  if (!writing_) write_queued();
}

// Until the queue is empty (done), or why not.
Transfer SupervisorLink::write_some() {
  while (!queue_.empty()) {
    std::vector<int> numbers;
    for (const FileDescriptor& descriptor : queue_.front().descriptors) numbers.push_back(descriptor.get());
    const Transfer sent = send_datagram(socket_.native_handle(), queue_.front().bytes, numbers);
    if (sent != Transfer::done) return sent;
    queue_.pop_front();
  }
  return Transfer::done;
}

void SupervisorLink::write_queued() {
  switch (write_some()) {
    case Transfer::done:
      return;
    case Transfer::would_block:
      return want_write();
    case Transfer::closed:
    case Transfer::failed:
      return closed_();
  }
}

bool SupervisorLink::send_all() {
  for (;;) {
    const Transfer sent = write_some();
    if (sent != Transfer::would_block) return sent == Transfer::done;
    pollfd room{socket_.native_handle(), POLLOUT, 0};
    ::poll(&room, 1, -1);
  }
}

void SupervisorLink::want_write() {
  writing_ = true;
  socket_.async_wait(stream_descriptor::wait_write, [this](const boost::system::error_code& error) {
    writing_ = false;
    if (error) return closed_();
    write_queued();
  });
}

}  // namespace poold::engine
