// A connection upgraded to frames: the socket, what waits to be sent, and what has arrived. It never blocks
// unless asked to, and who uses it decides when to read and when to write; so PolledStream, Stream and
// poolctl's run share it. Not for several threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "client/cpp/poold/shared_payload.hpp"
#include "client/cpp/src/socket.hpp"
#include "common/frame.hpp"

namespace google::protobuf {
class MessageLite;
}

namespace poold {

struct StreamResult;

class FrameStream {
 public:
  struct Options {
    std::string socket_path;
    std::chrono::milliseconds connect_timeout{10'000};
    bool cancel_on_close = false;
    std::string agent;  // program and version
    bool shared_memory = false;
  };

  // Connects, upgrades, and exchanges hellos within the time-out. Throws Unreachable, Error with the daemon's
  // code, ProtocolError.
  explicit FrameStream(const Options& options);

  int descriptor() const { return socket_.get(); }

  // Appends a frame to what waits to be sent. Throws Error (resource_exhausted) if it is longer than a frame
  // may be.
  void send(const google::protobuf::MessageLite& client_frame);
  // `shared`: its payload. Throws Error (failed_precondition) if the daemon takes none, or the options say
  // nothing of it.
  void send_submit(std::uint64_t tag, std::string_view task_spec,
                   const std::optional<SharedPayload>& shared = std::nullopt);
  void send_cancel(std::uint64_t tag);
  void send_signal(std::uint64_t tag, int signal_number);
  // Bytes that wait to be sent.
  std::size_t unsent() const { return outgoing_.size() - sent_; }

  // Sends what the kernel takes now. False if the daemon has hung up: what it sent before is still to be
  // read.
  bool write_some();
  // Sends everything, and reads while a write would block.
  void flush();

  // Reads what is here now. `closed`: nothing more will come; next() may still have frames.
  enum class Read { some, nothing, closed };
  Read read_some();
  bool closed() const { return closed_; }

  // The next whole frame's payload, valid until the next read. Throws ProtocolError.
  std::optional<std::string_view> next();
  // What the result in this frame has in shared memory becomes part of it. Throws ProtocolError.
  void add_memory(std::string_view payload, StreamResult& result);

 private:
  void upgrade(const Deadline& deadline);
  void exchange_hellos(const Options& options, const Deadline& deadline);

  void drop(std::size_t count);

  FileDescriptor socket_;
  std::string outgoing_;
  std::size_t sent_ = 0;       // how much of outgoing_ is gone
  std::uint64_t dropped_ = 0;  // bytes that were in front of outgoing_
  struct Beside {
    std::uint64_t at = 0;  // byte of all output that carries the descriptor
    SharedPayload memory;
  };
  std::deque<Beside> beside_;
  std::deque<FileDescriptor> received_;
  bool shares_ = false;
  FrameReader reader_;
  bool closed_ = false;
};

}  // namespace poold
