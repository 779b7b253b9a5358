// The supervisor's end of its channel to one engine: datagrams in and out, bounded on both sides. What a
// message means is supervisor.cpp's.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/seqpacket.hpp"
#include "poold/internal/channel.pb.h"

namespace poold::supervisor {

// What both programs say of themselves in Welcome and EngineReady.
inline constexpr std::uint32_t channel_version = 1;

// Far above what an engine can leave unread while it works (two messages a slot); an engine that lets this
// much pile up has stopped reading.
inline constexpr std::size_t channel_queue_max = 10'000;

enum class ChannelEnd {
  closed,  // the engine has closed its end: it has ended, or is about to
  failed,  // it sent what is no message, or does not read
};

class Channel : public std::enable_shared_from_this<Channel> {
 public:
  using OnMessage = std::function<void(const internal::ToSupervisor&, std::vector<FileDescriptor>)>;
  // Nothing will come or go any more. Called at most once, and nothing else is called after it.
  using OnBroken = std::function<void(ChannelEnd end, const std::string& reason)>;

  Channel(boost::asio::io_context& io, FileDescriptor socket);

  void open(OnMessage on_message, OnBroken on_broken);
  // Sent in order; queued while the engine's side is full.
  void send(const internal::ToEngine& message, std::vector<FileDescriptor> descriptors = {});
  // Takes what has arrived so far, without waiting for the loop.
  void drain();
  // Nothing is called after this.
  void close();
  bool is_open() const { return socket_.is_open(); }

 private:
  struct Outgoing {
    std::string bytes;
    std::vector<FileDescriptor> descriptors;
  };

  void wait_for_input();
  // False once the channel is closed, or when nothing is left to read.
  bool receive_one();
  void flush();
  void broken(ChannelEnd end, const std::string& reason);

  boost::asio::posix::stream_descriptor socket_;
  OnMessage on_message_;
  OnBroken on_broken_;
  Datagram incoming_;  // kept, so that its memory is
  std::deque<Outgoing> outgoing_;
  bool waits_for_room_ = false;
  bool deaf_ = false;  // the engine reads no more
};

}  // namespace poold::supervisor
