// One request under way, to be answered once, now or later. If its connection closes first, the answer goes
// nowhere.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/engine/control/connect.hpp"
#include "daemon/engine/control/http_codec.hpp"
#include "daemon/engine/control/peer.hpp"
#include "daemon/engine/control/rights.hpp"

namespace poold::engine {

class Connection;

// What belongs to a connection and not to one of its calls, such as the permits that it holds.
class Belonging {
 public:
  virtual ~Belonging() = default;
  // The next request has arrived: the peer has read what it was answered before.
  virtual void on_next_request() {}
  // The connection is gone; `unread`: its peer has not read all that it was answered.
  virtual void on_gone(bool unread) = 0;
};

class Call {
 public:
  Call(std::weak_ptr<Connection> connection, Peer peer, const Access& access, HttpRequest request);

  const HttpRequest& request() const { return request_; }
  const Peer& peer() const { return peer_; }
  const Rights& rights() const { return rights_; }
  void set_format(Format format) { format_ = format; }
  Format format() const { return format_; }
  bool open() const { return !connection_.expired(); }

  void reply(const google::protobuf::Message& message);
  void fail(const ConnectError& error);
  void fail(Code code, std::string message) { fail(ConnectError{code, std::move(message)}); }
  void reply_text(int status, std::string_view content_type, std::string_view body,
                  std::string_view allow = {});

  // What must live as long as the call is unanswered and its connection open, such as a waiter.
  void hold(std::shared_ptr<void> attachment);
  // What is told of the end of this call's connection, and of its next requests.
  void keep(std::shared_ptr<Belonging> belonging);
  // Of this call's connection, never used twice; 0 if it is closed.
  std::uint64_t connection_number() const;
  // The answer is a chunked stream of text that this call's connection carries from now on. `held` is dropped
  // when it closes.
  std::shared_ptr<class TextStream> start_stream(std::string_view content_type);
  // The connection speaks frames from now on.
  void upgrade();

 private:
  std::weak_ptr<Connection> connection_;
  Peer peer_;
  Rights rights_;
  HttpRequest request_;
  Format format_ = Format::json;
};

// A chunked answer that goes on.
class TextStream {
 public:
  explicit TextStream(std::weak_ptr<Connection> connection) : connection_(std::move(connection)) {}
  // False if the peer is gone.
  bool write(std::string_view text);
  // Bytes that the peer has not taken yet.
  std::size_t pending() const;
  // Called when pending() has fallen to 0 again.
  void on_drained(std::function<void()> drained);
  void finish();

 private:
  std::weak_ptr<Connection> connection_;
};

}  // namespace poold::engine
