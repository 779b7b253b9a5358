// One client's connection: HTTP requests one after another, until it is upgraded to frames or carries an
// answer without end.
//
// Bounds what the peer may make us keep, in both directions, and how long it may take to finish what it
// began. What requests mean is the router's business, what frames mean the stream session's.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "common/frame.hpp"
#include "daemon/engine/control/backend.hpp"
#include "daemon/engine/control/call.hpp"
#include "daemon/engine/control/http_codec.hpp"
#include "daemon/engine/io/byte_channel.hpp"

namespace poold::engine {

class Router;
class StreamSession;

// A peer with this much unread output is not read from until it has caught up ...
inline constexpr std::size_t output_pause = 4 * 1024 * 1024;
// ... and with this much is closed: it never reads.
inline constexpr std::size_t output_max = 64 * 1024 * 1024;
static_assert(output_max > frame_payload_max);

inline constexpr std::chrono::seconds header_time_max{5};
inline constexpr std::chrono::seconds message_time_max{30};

class Connection : public ByteChannel::Owner,
                   public Flushable,
                   public std::enable_shared_from_this<Connection> {
 public:
  using Closed = std::function<void(Connection&)>;
  Connection(Backend& backend, Router& router, int socket, Peer peer, Closed closed);
  ~Connection() override;

  void start();
  // Without reading: for refuse().
  void attach();
  void close();
  // An answer to a peer that may not come in, or may not stay: it is written as far as possible, then closed.
  void refuse(const ConnectError& error);

  // For Call, TextStream and StreamSession.
  const Peer& peer() const { return peer_; }
  Backend& backend() { return backend_; }
  void answer(const HttpResponse& response);
  std::uint64_t number() const { return number_; }
  void keep(std::shared_ptr<Belonging> belonging) { belongings_.push_back(std::move(belonging)); }
  void hold(std::shared_ptr<void> attachment) { held_ = std::move(attachment); }
  void start_stream(std::string_view content_type);
  void finish_stream();
  void upgrade();
  std::string& out() { return channel_->out(); }
  std::size_t pending() const { return channel_->pending(); }
  // As in ByteChannel.
  void send_beside(std::shared_ptr<const FileDescriptor> descriptor) {
    channel_->send_beside(std::move(descriptor));
  }
  void receive_descriptors() { channel_->receive_descriptors(); }
  FileDescriptor take_descriptor() { return channel_->take_descriptor(); }
  void set_drained(std::function<void()> drained) { drained_ = std::move(drained); }
  // What was appended to out() goes when the turn ends.
  void flush_later();
  void flush_now() { channel_->flush(); }
  void close_after_flush();
  bool peer_gone() const { return channel_->peer_gone(); }
  // The stream's session had stalled.
  void go_on_reading();
  // For a daemon that ends: the first request was not answered yet, or another one has arrived.
  bool owes() const;
  // Half of a request is here: reads the rest, if it comes within this time. For an engine that is to hand
  // over.
  void finish_request(std::chrono::milliseconds patience);
  // For an engine that takes this one's place: the socket, if nothing is under way that only this engine
  // knows of.
  std::optional<FileDescriptor> hand_over();

 private:
  enum class Mode { http, text, frames, closing, closed };

  bool in_request() const { return mode_ == Mode::http && !busy_ && (reading_header_ || reading_body_); }

  void on_readable() override;
  bool read_some();
  void handle_http();
  void handle_frames();
  bool stalled() const;
  void on_drained() override;
  void on_broken() override;
  void flush() override;
  void want_read();
  // By then the peer must have finished what it began. The timer is left running when it has: a busy stream
  // would set it at every read.
  void set_deadline(std::chrono::seconds limit);
  void clear_deadline() { deadline_at_ = core::Time::max(); }
  void arm_deadline();
  void expire();

  Backend& backend_;
  Router& router_;
  const std::uint64_t number_;
  Peer peer_;
  Closed closed_;
  std::shared_ptr<ByteChannel> channel_;
  Mode mode_ = Mode::http;
  HttpReader http_;
  FrameReader frames_;
  bool busy_ = false;       // a request is being answered
  bool answered_ = false;   // at least once
  bool keep_alive_ = true;  // after this answer
  bool flush_pending_ = false;
  bool reading_header_ = false;
  bool reading_body_ = false;
  bool at_end_ = false;  // the peer will send no more
  bool reset_ = false;   // the peer went without reading all that was written to it
  boost::asio::steady_timer deadline_;
  core::Time deadline_at_ = core::Time::max();
  core::Time armed_for_ = core::Time::max();  // when deadline_ rings
  std::shared_ptr<void> held_;
  std::vector<std::shared_ptr<Belonging>> belongings_;
  std::shared_ptr<StreamSession> session_;
  std::function<void()> drained_;
};

}  // namespace poold::engine
