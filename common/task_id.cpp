#include "common/task_id.hpp"

#include <cstdlib>

namespace poold {
namespace {

constexpr std::size_t text_size = 36;

bool dash_at(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

}  // namespace

TaskId make_task_id(std::uint64_t unix_ms, std::uint64_t engine, std::uint64_t sequence) {
  if (sequence > sequence_max) std::abort();
  constexpr std::uint64_t version = 0x7000, variant = std::uint64_t{2} << 62;
  return {unix_ms << 16 | version | (engine >> 22 & 0xfff), variant | (engine & 0x3fffff) << 40 | sequence};
}

void append(std::string& out, const TaskId& id) {
  static constexpr char digits[] = "0123456789abcdef";
  char text[text_size];
  int shift = 124;
  for (std::size_t i = 0; i < text_size; ++i) {
    if (dash_at(i)) {
      text[i] = '-';
      continue;
    }
    const std::uint64_t half = shift >= 64 ? id.high >> (shift - 64) : id.low >> shift;
    text[i] = digits[half & 15];
    shift -= 4;
  }
  out.append(text, text_size);
}

std::string to_string(const TaskId& id) {
  std::string text;
  append(text, id);
  return text;
}

std::optional<TaskId> parse_task_id(std::string_view text) {
  if (text.size() != text_size) return std::nullopt;
  TaskId id;
  for (std::size_t i = 0; i < text_size; ++i) {
    const char c = text[i];
    if (dash_at(i)) {
      if (c != '-') return std::nullopt;
      continue;
    }
    unsigned digit;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<unsigned>(c - 'A' + 10);
    } else {
      return std::nullopt;
    }
    id.high = id.high << 4 | id.low >> 60;
    id.low = id.low << 4 | digit;
  }
  return id;
}

}  // namespace poold
