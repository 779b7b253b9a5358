// The few parts of protobuf's wire format that the hot paths read and write by hand: a frame about a no-op
// costs tens of nanoseconds this way, and no allocation. Everything rarer goes through the generated
// messages. The format: https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace poold::wire {

enum class Type : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

// Walks the fields of one message. After next() returned true, exactly one of `number` and `bytes` is set, by
// the field's type.
class Reader {
 public:
  explicit Reader(std::string_view message) : at_(message.data()), end_(at_ + message.size()) {}

  // False at the end of the message, and where it is broken: broken() tells which.
  bool next() {
    if (at_ == end_) return false;
    std::uint64_t key = 0;
    // A longer key would be taken for another field.
    if (!read_varint(key) || key > 0xffffffffu) return fail();
    field = static_cast<std::uint32_t>(key >> 3);
    type = static_cast<Type>(key & 7);
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
  Type type = Type::varint;
  std::uint64_t number = 0;  // varint, fixed64 and fixed32
  std::string_view bytes;

 private:
  bool fail() {
    broken_ = true;
    return false;
  }
  bool read_varint(std::uint64_t& value) {
    if (at_ != end_ && static_cast<unsigned char>(*at_) < 0x80) [[likely]] {
      value = static_cast<unsigned char>(*at_++);
      return true;
    }
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

constexpr std::size_t varint_size(std::uint64_t value) {
  std::size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

// The writers: first the size of everything, then each part into room for exactly that.

inline char* put_varint(char* out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) *out++ = static_cast<char>(value | 0x80);
  *out++ = static_cast<char>(value);
  return out;
}

// The first byte of a field. Every field written by hand has a number under 16, so that this is one byte.
constexpr char key(int field, Type type) { return static_cast<char>(field << 3 | static_cast<int>(type)); }

// A number; nothing is written for 0, its default.
constexpr std::size_t varint_field_size(std::uint64_t value) {
  return value == 0 ? 0 : 1 + varint_size(value);
}
inline char* put_varint_field(char* out, int field, std::uint64_t value) {
  if (value == 0) return out;
  *out++ = key(field, Type::varint);
  return put_varint(out, value);
}

// Bytes, a text, or a message that is bytes already. Written also where it is empty.
constexpr std::size_t bytes_field_size(std::size_t size) { return 1 + varint_size(size) + size; }
// Its head, when the bytes follow in pieces.
inline char* put_bytes_head(char* out, int field, std::size_t size) {
  *out++ = key(field, Type::bytes);
  return put_varint(out, size);
}
inline char* put_bytes_field(char* out, int field, std::string_view bytes) {
  out = put_bytes_head(out, field, bytes.size());
  std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

}  // namespace poold::wire
