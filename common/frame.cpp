#include "common/frame.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace poold {
namespace {

// One read takes at most this much; a pipe holds as much.
constexpr std::size_t read_size = 64 * 1024;
// A buffer that grew beyond this for a large frame is given back when it is empty again.
constexpr std::size_t kept_capacity_max = 256 * 1024;

std::uint32_t load_big_endian(const char* p) {
  const auto* b = reinterpret_cast<const unsigned char*>(p);
  return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
}

void store_big_endian(char* p, std::uint32_t value) {
  p[0] = static_cast<char>(value >> 24);
  p[1] = static_cast<char>(value >> 16);
  p[2] = static_cast<char>(value >> 8);
  p[3] = static_cast<char>(value);
}

}  // namespace

std::string_view describe(FrameError error) {
  switch (error) {
    case FrameError::too_long:
      return "frame longer than 16777216 bytes";
    case FrameError::unknown_flag:
      return "unknown flag in a frame's first byte (accepted: 0)";
  }
  std::abort();
}

FrameReader::FrameReader(std::size_t payload_max) : payload_max_(payload_max) {}

void FrameReader::make_room() {
  const std::size_t held = end_ - begin_;
  // Doubling what is held keeps the copying linear; the announced length plays no part.
  const std::size_t wanted = std::max(2 * read_size, 2 * held);
  const bool too_small =
      capacity_<wanted, too_large = capacity_> kept_capacity_max && wanted <= kept_capacity_max;
  if (too_small || too_large) {
    auto other = std::make_unique_for_overwrite<char[]>(wanted);
    if (held > 0) std::memcpy(other.get(), buffer_.get() + begin_, held);
    buffer_ = std::move(other);
    capacity_ = wanted;
  } else if (held > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, held);
  }
  begin_ = 0;
  end_ = held;
}

std::span<char> FrameReader::prepare() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    // At once, not when the large buffer is full: a peer may be silent for hours after one large frame.
    if (capacity_ > kept_capacity_max) make_room();
  }
  if (capacity_ - end_ < read_size) make_room();
  return {buffer_.get() + end_, capacity_ - end_};
}

void FrameReader::commit(std::size_t count) {
  if (count > capacity_ - end_) std::abort();
  end_ += count;
}

void FrameReader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    auto space = prepare();
    const std::size_t n = std::min(space.size(), bytes.size());
    std::memcpy(space.data(), bytes.data(), n);
    commit(n);
    bytes.remove_prefix(n);
  }
}

FrameResult FrameReader::next() {
  const std::size_t held = end_ - begin_;
  if (held == 0) return FrameIncomplete{};
  const char* head = buffer_.get() + begin_;
  if (head[0] != 0) return FrameError::unknown_flag;
  if (held < frame_header_size) return FrameIncomplete{};
  const std::size_t length = load_big_endian(head + 1);
  if (length > payload_max_) return FrameError::too_long;
  if (held < frame_header_size + length) return FrameIncomplete{};
  begin_ += frame_header_size + length;
  return Frame{{head + frame_header_size, length}};
}

void append_frame(std::string& out, std::string_view payload) {
  char* space = append_envelope(out, payload.size());
  if (!space) std::abort();
  std::memcpy(space, payload.data(), payload.size());
}

char* append_envelope(std::string& out, std::size_t payload_size) {
  if (payload_size > frame_payload_max) return nullptr;
  const std::size_t start = out.size();
  out.resize(start + frame_header_size + payload_size);
  char* head = out.data() + start;
  head[0] = 0;
  store_big_endian(head + 1, static_cast<std::uint32_t>(payload_size));
  return head + frame_header_size;
}

}  // namespace poold
