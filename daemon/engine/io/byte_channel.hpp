// The bytes of one peer: a client's socket or one end of a worker's pipe, non-blocking, on the engine's loop.
//
// Output gathers in a buffer and is written by flush(), once a turn; what the kernel does not take waits
// until it does. What the bytes mean, and how much may wait, is the owner's business.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace poold::engine {

// Gathers output in a turn, and writes it when the turn ends.
class Flushable {
 public:
  virtual ~Flushable() = default;
  virtual void flush() = 0;
};

class ByteChannel : public std::enable_shared_from_this<ByteChannel> {
 public:
  // Whose bytes these are.
  class Owner {
   public:
    virtual ~Owner() = default;
    // Call read() until it would block or enough was taken, then want_read().
    virtual void on_readable() = 0;
    // Everything gathered has been written.
    virtual void on_drained() {}
    // Writing failed: the peer is gone.
    virtual void on_broken() {}
  };
  enum class ReadStatus { bytes, would_block, end, failed };
  struct ReadResult {
    ReadStatus status;
    std::size_t count = 0;
  };

  // Takes the descriptor over; it must be non-blocking.
  ByteChannel(boost::asio::io_context& loop, int fd);

  // Is kept alive until close(), which takes owner and channel apart.
  void set_owner(std::shared_ptr<Owner> owner) { owner_ = std::move(owner); }
  // Calls on_readable() once when there is something to read. Asking again while waiting is harmless.
  void want_read();
  ReadResult read(std::span<char> space);

  // Append here, then flush() before the turn ends.
  std::string& out() { return out_; }
  std::size_t pending() const { return out_.size() - written_; }
  void flush();

  // Something has arrived that was not read.
  bool has_input() const;
  // After the end of its bytes: is nobody there any more to read an answer?
  bool peer_gone();

  void close();
  bool open() const { return descriptor_.is_open(); }

 private:
  void want_write();

  boost::asio::posix::stream_descriptor descriptor_;
  std::shared_ptr<Owner> owner_;
  std::string out_;
  std::size_t written_ = 0;  // of out_
  bool reading_ = false;
  bool writing_ = false;
};

}  // namespace poold::engine
