#include "daemon/supervisor/text.hpp"

namespace poold::supervisor {
namespace {

// How many bytes at the beginning are one character of UTF-8 (RFC 3629: no surrogates, no longer forms than
// needed); 0 if none is.
std::size_t character_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  const std::size_t size = first < 0x80   ? 1
                           : first < 0xc2 ? 0
                           : first < 0xe0 ? 2
                           : first < 0xf0 ? 3
                           : first < 0xf5 ? 4
                                          : 0;
  if (size == 0 || size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  if (first == 0xe0 && byte(1) < 0xa0) return 0;
  if (first == 0xed && byte(1) > 0x9f) return 0;
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) > 0x8f) return 0;
  return size;
}

// C0, DEL, and the C1 characters, which terminals obey as well.
bool is_control(std::string_view character) {
  const unsigned char first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  return character.size() == 2 && first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
}

void append_escaped(std::string& out, unsigned char byte) {
  constexpr char digits[] = "0123456789abcdef";
  out.append("\\x").push_back(digits[byte >> 4]);
  out.push_back(digits[byte & 15]);
}

}  // namespace

std::string printable(std::string_view text, std::size_t size_max) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= size_max) return out + "...";
    const std::size_t size = character_size(text);
    const std::string_view character = text.substr(0, size == 0 ? 1 : size);
    if (size > 0 && !is_control(character)) {
      out.append(character);
    } else {
      for (const char byte : character) append_escaped(out, static_cast<unsigned char>(byte));
    }
    text.remove_prefix(character.size());
  }
  return out;
}

}  // namespace poold::supervisor
