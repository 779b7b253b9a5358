// The few parts of protobuf's wire format that the hot path reads and writes by hand: a frame with a no-op's
// result costs tens of nanoseconds this way, and no allocation. Everything rarer goes through the generated
// messages. The format: https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace poold {

enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

// Walks the fields of one message. After next() returned true, exactly one of `number` and `bytes` is set, by
// the field's type.
class WireReader {
 public:
  explicit WireReader(std::string_view message) : at_(message.data()), end_(at_ + message.size()) {}

  // False at the end of the message, and where it is broken: broken() tells which.
  bool next() {
    if (at_ == end_) return false;
    std::uint64_t key = 0;
    if (!read_varint(key)) return fail();
    field = static_cast<std::uint32_t>(key >> 3);
    type = static_cast<WireType>(key & 7);
    switch (key & 7) {
      case 0:
        return read_varint(number) || fail();
      case 1:
        return read_fixed(8);
      case 2:
        return read_bytes();
      case 5:
        return read_fixed(4);
      default:
        return fail();
    }
  }
  bool broken() const { return broken_; }

  std::uint32_t field = 0;
  WireType type = WireType::varint;
  std::uint64_t number = 0;  // varint, fixed64 and fixed32
  std::string_view bytes;

 private:
  bool fail() {
    broken_ = true;
    return false;
  }
  bool read_varint(std::uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) return false;
      const auto byte = static_cast<unsigned char>(*at_++);
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool read_fixed(int size) {
    if (end_ - at_ < size) return fail();
    number = 0;
    for (int i = 0; i < size; ++i) number |= std::uint64_t{static_cast<unsigned char>(at_[i])} << (8 * i);
    at_ += size;
    return true;
  }
  bool read_bytes() {
    std::uint64_t size = 0;
    if (!read_varint(size) || size > static_cast<std::uint64_t>(end_ - at_)) return fail();
    bytes = {at_, static_cast<std::size_t>(size)};
    at_ += size;
    return true;
  }

  const char* at_;
  const char* end_;
  bool broken_ = false;
};

inline std::size_t varint_size(std::uint64_t value) {
  std::size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

inline char* put_varint(char* out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) *out++ = static_cast<char>(value | 0x80);
  *out++ = static_cast<char>(value);
  return out;
}

// The first byte (or bytes) of a field. Every field written by hand has a number under 16, so that this is
// one byte.
constexpr char wire_key(std::uint32_t field, WireType type) {
  return static_cast<char>(field << 3 | static_cast<std::uint32_t>(type));
}

}  // namespace poold
