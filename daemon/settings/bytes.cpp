#include "daemon/settings/bytes.hpp"

#include <cstddef>
#include <string>
#include <utility>

namespace poold::settings {
namespace {

struct Cursor {
  int line = 1;
  int column = 1;
};

Cursor place_of(std::string_view text, std::size_t offset) {
  Cursor cursor;
  for (char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++cursor.line;
      cursor.column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
      ++cursor.column;
    }
  }
  return cursor;
}

// Bytes of the UTF-8 character at the beginning of the text; 0 if there is none. After RFC 3629, section 4.
std::size_t character_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned head = byte(0), second = byte(1);
  if (head < 0x80) return 1;
  if (head < 0xc2) return 0;
  if (head < 0xe0) return tail(1) ? 2 : 0;
  if (head < 0xf0) {
    const bool overlong = head == 0xe0 && second < 0xa0, surrogate = head == 0xed && second > 0x9f;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (head > 0xf4) return 0;
  const bool overlong = head == 0xf0 && second < 0x90, beyond = head == 0xf4 && second > 0x8f;
  return tail(1) && tail(2) && tail(3) && !overlong && !beyond ? 4 : 0;
}

}  // namespace

std::optional<Error> check_bytes(std::string_view text) {
  const auto error = [&](std::size_t offset, std::string message) {
    const Cursor cursor = place_of(text, offset);
    return Error{"", cursor.line, cursor.column, "", std::move(message)};
  };
  if (text.size() > text_size_max) return Error{"", 0, 0, "", "larger than 1 MiB"};
  bool indentation = true;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const std::size_t size = character_size(text.substr(i));
    if (size == 0) return error(i, "not UTF-8");
    if (c == '\t' && indentation) return error(i, "a tab in the indentation; use spaces");
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
      return error(i, "a control character");
    if (c == '\n') {
      indentation = true;
    } else if (c != ' ') {
      indentation = false;
    }
    i += size;
  }
  return std::nullopt;
}

}  // namespace poold::settings
