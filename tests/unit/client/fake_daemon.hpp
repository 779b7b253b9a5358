// A daemon made of canned answers: it listens on a socket of its own, and each connection is played by a
// script, one after the other, on a thread. Its faults are what scripts do: answer in pieces, answer early,
// hang up in the middle, never read. A script that throws, or that meets the end of a connection where it
// expected a request, is reported by failure().
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/frame.hpp"
#include "common/seqpacket.hpp"
#include "poold/v1/stream.pb.h"

namespace poold::test {

// One connection, as the daemon sees it. Blocks; every wait ends when the client hangs up.
class Peer {
 public:
  explicit Peer(FileDescriptor socket) : socket_(std::move(socket)) {}

  struct Request {
    std::string head;  // without the empty line
    std::string body;
    std::string path() const;
  };
  Request read_request();
  // As many bytes as are given, in writes of `piece` bytes.
  void send(std::string_view bytes, std::size_t piece = std::string_view::npos);
  void answer(int status, std::string_view content_type, std::string_view body);
  void answer(const google::protobuf::MessageLite& message) {
    answer(200, "application/proto", message.SerializeAsString());
  }

  // Answers the upgrade and exchanges hellos; returns the client's.
  v1::StreamHello upgrade();
  v1::ClientFrame read_frame();
  void send_frame(const v1::ServerFrame& frame);
  void wait_for_close();
  int descriptor() const { return socket_.get(); }

 private:
  bool read_more(std::string& into);

  FileDescriptor socket_;
  std::string unread_;
  FrameReader frames_;
};

class FakeDaemon {
 public:
  using Script = std::function<void(Peer&)>;
  // Plays the scripts, one a connection.
  explicit FakeDaemon(std::vector<Script> scripts);
  ~FakeDaemon();

  const std::string& path() const { return path_; }
  // Waits until every script has been played. Empty if all went as they should.
  std::string failure();

 private:
  void play();

  std::string directory_;
  std::string path_;
  FileDescriptor listener_;
  std::vector<Script> scripts_;
  std::string failure_;
  std::thread thread_;
};

// A directory of this test's own, removed with what is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A listening Unix socket. The path must be free.
FileDescriptor listen_at(const std::string& path, int backlog);

}  // namespace poold::test
