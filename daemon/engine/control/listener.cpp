#include "daemon/engine/control/listener.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace poold::engine {
namespace {

// So many are accepted before other peers get their turn.
constexpr int accept_share = 64;
// Out of descriptors or memory: connections wait in the backlog meanwhile.
constexpr std::chrono::milliseconds trouble_pause{100};

}  // namespace

Listener::Listener(Backend& backend, Router& router, int socket, std::uint32_t connections_max)
    : backend_(backend),
      router_(router),
      socket_(backend.loop(), socket),
      pause_(backend.loop()),
      connections_max_(connections_max) {}

void Listener::want_accept() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& error) {
                       if (error) return;
                       backend_.now();
                       accept_some();
                     });
}

void Listener::accept_some() {
  for (int i = 0; i < accept_share; ++i) {
    const int client = ::accept4(socket_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0) {
      add(client);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
    spdlog::warn("cannot accept a client: {}", std::strerror(errno));
    pause_.expires_after(trouble_pause);
    pause_.async_wait([this](const boost::system::error_code& error) {
      if (!error) want_accept();
    });
    return;
  }
  want_accept();
}

void Listener::add(int socket) {
  const auto peer = peer_of(socket);
  if (!peer) {
    ::close(socket);
    return;
  }
  const auto connection = std::make_shared<Connection>(
      backend_, router_, socket, *peer,
      [this](Connection& closed) { connections_.erase(closed.shared_from_this()); });
  const bool full = connections_.size() >= connections_max_;
  connections_.insert(connection);
  if (full) {
    connection->attach();
    return connection->refuse(
        {Code::resource_exhausted, "too many connections (" + std::to_string(connections_max_) + ")"});
  }
  connection->start();
}

void Listener::stop() {
  boost::system::error_code ignored;
  socket_.close(ignored);
  pause_.cancel();
}

bool Listener::owes() const {
  return std::any_of(connections_.begin(), connections_.end(),
                     [](const auto& connection) { return connection->owes(); });
}

void Listener::close_all() {
  const auto all = connections_;
  for (const auto& connection : all) connection->close();
}

void Listener::finish_requests() {
  // For all together; a client writes header and body one right after the other.
  constexpr std::chrono::milliseconds patience{50};
  const auto until = std::chrono::steady_clock::now() + patience;
  const auto all = connections_;
  for (const auto& connection : all) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    connection->finish_request(std::max(left, std::chrono::milliseconds(0)));
  }
}

std::vector<FileDescriptor> Listener::hand_over() {
  std::vector<FileDescriptor> sockets;
  for (const auto& connection : connections_)
    if (auto socket = connection->hand_over()) sockets.push_back(std::move(*socket));
  return sockets;
}

void Listener::flush_all() {
  const auto all = connections_;
  for (const auto& connection : all) connection->flush_now();
}

}  // namespace poold::engine
