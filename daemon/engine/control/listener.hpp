// Accepts clients on the listening socket that the supervisor made and keeps.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <unordered_set>

#include "daemon/engine/control/connection.hpp"
#include "daemon/engine/control/router.hpp"

namespace poold::engine {

class Listener {
 public:
  // At most `connections_max` clients at a time; one more is told so and closed.
  Listener(Backend& backend, Router& router, int socket, std::uint32_t connections_max);
  void start() { want_accept(); }
  void stop();
  std::uint32_t connections() const { return static_cast<std::uint32_t>(connections_.size()); }
  // Somebody who was accepted waits for the first answer, or has sent what was not read yet.
  bool owes() const;
  void close_all();
  // Writes what the kernel takes of every answer, before the process ends.
  void flush_all();
  // Requests of which a part was read are read to their end, if that comes in the next moment.
  void finish_requests();
  // The connections between two requests, for an engine that takes this one's place; and its part.
  std::vector<FileDescriptor> hand_over();
  void add(int socket);

 private:
  void want_accept();
  void accept_some();

  Backend& backend_;
  Router& router_;
  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer pause_;
  const std::uint32_t connections_max_;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
};

}  // namespace poold::engine
