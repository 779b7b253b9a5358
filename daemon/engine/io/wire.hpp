// Protobuf's wire format, by hand, for the two or three messages that are written once a task: their payloads
// are bytes already and are only copied (protobuf.dev/programming-guides/encoding). Everything else uses the
// generated classes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace poold::engine::wire {

constexpr std::size_t varint_size(std::uint64_t value) {
  std::size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

inline void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

// Field numbers up to 15, whose tags are one byte.
inline void append_varint_field(std::string& out, unsigned field, std::uint64_t value) {
  if (value == 0) return;
  out.push_back(static_cast<char>(field << 3));
  append_varint(out, value);
}
inline void append_bytes_field(std::string& out, unsigned field, std::string_view bytes) {
  out.push_back(static_cast<char>(field << 3 | 2));
  append_varint(out, bytes.size());
  out.append(bytes);
}
constexpr std::size_t varint_field_size(std::uint64_t value) {
  return value == 0 ? 0 : 1 + varint_size(value);
}
constexpr std::size_t bytes_field_size(std::size_t size) { return 1 + varint_size(size) + size; }

}  // namespace poold::engine::wire
