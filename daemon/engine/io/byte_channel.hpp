// The bytes of one peer: a client's socket or one end of a worker's pipe, non-blocking, on the engine's loop.
//
// Output gathers in a buffer and is written by flush(), once a turn; what the kernel does not take waits
// until it does. What the bytes mean, and how much may wait, is the owner's business.
// A socket also carries descriptors: each goes with one byte of the output, and those that come are kept in
// order.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>

#include "common/seqpacket.hpp"

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

  // The next byte that is appended carries this descriptor.
  void send_beside(std::shared_ptr<const FileDescriptor> descriptor);
  // From now on descriptors that come are kept; before, they are dropped.
  void receive_descriptors() { receives_descriptors_ = true; }
  // The first that came and was not taken; invalid: there is none.
  FileDescriptor take_descriptor();

  // Something has arrived that was not read, or does within this time.
  bool has_input(std::chrono::milliseconds patience = {}) const;
  // After the end of its bytes: is nobody there any more to read an answer?
  bool peer_gone();

  // For a process that takes this one's place: the descriptor once more, and what it has not taken of the
  // output.
  FileDescriptor duplicate();
  std::string_view unsent() const { return std::string_view(out_).substr(written_); }

  void close();
  bool open() const { return descriptor_.is_open(); }

 private:
  void want_write();
  ssize_t write_some();
  ssize_t read_with_descriptors(std::span<char> space);

  boost::asio::posix::stream_descriptor descriptor_;
  std::shared_ptr<Owner> owner_;
  std::string out_;
  std::size_t written_ = 0;    // of out_
  std::uint64_t dropped_ = 0;  // bytes that were in front of out_
  struct Beside {
    std::uint64_t at = 0;  // byte of the whole output
    std::shared_ptr<const FileDescriptor> descriptor;
  };
  std::deque<Beside> beside_;
  std::deque<FileDescriptor> received_;
  bool receives_descriptors_ = false;
  bool reading_ = false;
  bool writing_ = false;
};

}  // namespace poold::engine
