// The engine's end of the channel to its supervisor: datagrams of common/proto/poold/internal/channel.proto,
// descriptors attached.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "common/seqpacket.hpp"
#include "poold/internal/channel.pb.h"

namespace poold::engine {

class SupervisorLink {
 public:
  using Received = std::function<void(const internal::ToEngine&, std::vector<FileDescriptor>)>;
  using Closed = std::function<void()>;

  SupervisorLink(boost::asio::io_context& loop, int socket, Received received, Closed closed);
  void start() { want_read(); }
  void send(const internal::ToSupervisor& message, std::vector<FileDescriptor> descriptors = {});
  // Waits until the supervisor has taken everything. False: it is gone.
  bool send_all();

 private:
  void want_read();
  void want_write();
  void read_all_datagrams();
  void write_queued();
  Transfer write_some();

  boost::asio::posix::stream_descriptor socket_;
  Received received_;
  Closed closed_;
  struct Outgoing {
    std::string bytes;
    std::vector<FileDescriptor> descriptors;
  };
  std::deque<Outgoing> queue_;
  bool writing_ = false;
};

}  // namespace poold::engine
