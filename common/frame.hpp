// The envelope of streams and worker pipes: one flag byte, a big-endian u32 length, the payload.
//
// Sans-I/O: FrameReader is fed bytes and hands out payloads; append_frame writes one. What a payload means is
// not known here; frame_message.hpp puts protobuf messages in. The same envelope as Connect's streams
// (connectrpc.com/docs/protocol).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace poold {

inline constexpr std::size_t frame_header_size = 5;
// Large enough for any argument list the kernel takes and for payloads that are not worth shared memory;
// small enough that one peer cannot take the machine's memory.
inline constexpr std::size_t frame_payload_max = 16 * 1024 * 1024;

// A reader's complaint; the peer is not to be read any further.
enum class FrameError {
  too_long,      // the announced length is above the limit
  unknown_flag,  // a flag bit this version does not know
};
std::string_view describe(FrameError error);

struct Frame {
  std::string_view payload;  // valid until the reader's next prepare()
};
struct FrameIncomplete {};
using FrameResult = std::variant<FrameIncomplete, Frame, FrameError>;

// Turns bytes into frames. Memory grows only with bytes that have arrived, never with an announced length,
// and shrinks again.
//
//   auto space = reader.prepare();            // read() into it
//   reader.commit(n);
//   while (auto* f = std::get_if<Frame>(&(r = reader.next()))) ...
class FrameReader {
 public:
  explicit FrameReader(std::size_t payload_max = frame_payload_max);

  // Where to put the next bytes; never empty. Invalidates payloads handed out before.
  std::span<char> prepare();
  // At most as many as prepare() offered (asserted).
  void commit(std::size_t count);
  // Copies bytes in; for peers whose first bytes came through another reader.
  void feed(std::string_view bytes);

  // The next whole frame. After an error every call returns that error.
  FrameResult next();

  // What was read and not handed out: after next() said FrameIncomplete, the beginning of a frame.
  std::string_view rest() const { return {buffer_.get() + begin_, end_ - begin_}; }
  // Some of a frame is here and the rest is not.
  bool partial() const { return end_ != begin_; }
  // Bytes of memory held.
  std::size_t capacity() const { return capacity_; }

 private:
  void make_room();

  std::size_t payload_max_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;  // first byte not handed out
  std::size_t end_ = 0;    // one past the last byte read
};

// Appends an envelope with this payload. The payload's size must be at most frame_payload_max (asserted).
void append_frame(std::string& out, std::string_view payload);

// Appends an envelope for a payload of this size and returns where the payload is to be written, all of it
// and at once. Null, and nothing is appended, if it is longer than frame_payload_max.
char* append_envelope(std::string& out, std::size_t payload_size);

}  // namespace poold
