#include "client/cli/text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

#include "client/cpp/src/utf8.hpp"

namespace poold::cli {
namespace {

void append_hex(std::string& out, std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out.append("\\x").push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
}

// How many bytes the character that begins with this byte has; 1 for a byte that begins none.
std::size_t announced_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  if (byte >= 0xf0 && byte <= 0xf4) return 4;
  if (byte >= 0xe0 && byte < 0xf0) return 3;
  if (byte >= 0xc2 && byte < 0xe0) return 2;
  return 1;
}

std::uint32_t code_point(std::string_view character) {
  const auto byte = [&](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(character[i])}; };
  switch (character.size()) {
    case 1:
      return byte(0);
    case 2:
      return (byte(0) & 0x1f) << 6 | (byte(1) & 0x3f);
    case 3:
      return (byte(0) & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
    default:
      return (byte(0) & 7) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f);
  }
}

bool is_control(std::uint32_t point) { return point < 0x20 || (point >= 0x7f && point < 0xa0); }
// They change the order in which a terminal shows what stands around them.
bool is_bidirectional_override(std::uint32_t point) {
  return (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

// The character at the front, or 0 if there is none: its first byte is not UTF-8.
std::size_t character_length(std::string_view text) {
  const std::size_t length = announced_length(text.front());
  if (length > text.size() || !is_utf8(text.substr(0, length))) return 0;
  return length;
}

void append_escaped(std::string& out, std::string_view character, bool keep_lines) {
  const std::uint32_t point = code_point(character);
  if (!is_control(point) && !is_bidirectional_override(point)) {
    out.append(character);
  } else if (keep_lines && (point == '\n' || point == '\t')) {
    out.append(character);
  } else if (point == '\n') {
    out.append("\\n");
  } else if (point == '\r') {
    out.append("\\r");
  } else if (point == '\t') {
    out.append("\\t");
  } else {
    append_hex(out, character);
  }
}

std::string escaped(std::string_view text, bool keep_lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    if (length == 0)
      append_hex(out, text.substr(0, 1));
    else
      append_escaped(out, text.substr(0, length), keep_lines);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

// How many bytes at the end are the beginning of a character whose rest may follow.
std::size_t unfinished_length(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const char first = text[text.size() - back];
    if ((static_cast<unsigned char>(first) & 0xc0) == 0x80) continue;  // in the middle of a character
    return announced_length(first) > back ? back : 0;
  }
  return 0;
}

bool is_plain_word(std::string_view word) {
  constexpr std::string_view plain = "@%+=:,./-_";
  return !word.empty() && std::all_of(word.begin(), word.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           plain.find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string escaped_line(std::string_view text) { return escaped(text, false); }

std::string TerminalEscaper::escape(std::string_view piece) {
  std::string text = carried_;
  text.append(piece);
  const std::size_t kept = unfinished_length(text);
  carried_ = text.substr(text.size() - kept);
  return escaped(std::string_view(text).substr(0, text.size() - kept), true);
}

std::string TerminalEscaper::finish() {
  std::string rest = escaped(carried_, true);
  carried_.clear();
  return rest;
}

std::string shell_quoted(std::string_view word) {
  if (is_plain_word(word)) return std::string(word);
  const std::string safe = escaped_line(word);
  std::string out;
  if (safe == word) {
    out = "'";
    for (const char c : word) c == '\'' ? out.append("'\\''") : out.append(1, c);
    return out + "'";
  }
  // $'...' takes the escapes of escaped_line; what it would take beside them is escaped here.
  out = "$'";
  for (std::string_view rest = word; !rest.empty();) {
    const std::size_t length = std::max<std::size_t>(character_length(rest), 1);
    const std::string_view character = rest.substr(0, length);
    if (character == "'" || character == "\\") out.push_back('\\');
    out.append(escaped_line(character));
    rest.remove_prefix(length);
  }
  return out + "'";
}

std::string shell_quoted(std::span<const std::string> words) {
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line.push_back(' ');
    line.append(shell_quoted(word));
  }
  return line;
}

std::size_t text_width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string cut_to_width(std::string_view text, std::size_t width_max) {
  if (text_width(text) <= width_max) return std::string(text);
  if (width_max == 0) return {};
  std::size_t end = 0;
  for (std::size_t taken = 0; taken + 1 < width_max; ++taken)
    end += std::max<std::size_t>(character_length(text.substr(end)), 1);
  return std::string(text.substr(0, end)) + "…";
}

void complain(std::string_view message) {
  const std::string line = "poolctl: " + escaped_line(message) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace poold::cli
