#include "client/cli/top/columns.hpp"

#include <wchar.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace poold::cli::top {
namespace {

// The character at the front of text that was escaped before, and so is UTF-8.
std::size_t length_of(unsigned char first) {
  if (first >= 0xf0) return 4;
  if (first >= 0xe0) return 3;
  return first >= 0xc0 ? 2 : 1;
}

wchar_t point_of(std::string_view character) {
  const auto first = static_cast<unsigned char>(character.front());
  if (character.size() == 1) return static_cast<wchar_t>(first);
  char32_t point = first & (0x7fu >> character.size());
  for (const char c : character.substr(1)) point = point << 6 | (static_cast<unsigned char>(c) & 0x3fu);
  return static_cast<wchar_t>(point);
}

// Calls with each character and its columns, until `visit` returns false.
template <class Visit>
void each_character(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const std::size_t length = std::min(length_of(static_cast<unsigned char>(text.front())), text.size());
    const int width = ::wcwidth(point_of(text.substr(0, length)));
    if (!visit(text.substr(0, length), static_cast<std::size_t>(width < 0 ? 1 : width))) return;
    text.remove_prefix(length);
  }
}

std::string with_unit(double number, const char* unit) {
  char text[32];
  std::snprintf(text, sizeof text,
                number < 9.995   ? "%.2f%s"
                : number < 99.95 ? "%.1f%s"
                                 : "%.0f%s",
                number, unit);
  return text;
}

}  // namespace

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  each_character(text, [&](std::string_view, std::size_t width) {
    columns += width;
    return true;
  });
  return columns;
}

std::string cut_to_columns(std::string_view text, std::size_t columns_max) {
  if (columns_of(text) <= columns_max) return std::string(text);
  if (columns_max == 0) return {};
  std::string kept;
  std::size_t columns = 1;  // the ellipsis's
  each_character(text, [&](std::string_view character, std::size_t width) {
    if (columns + width > columns_max) return false;
    columns += width;
    kept.append(character);
    return true;
  });
  return kept + "…";
}

std::string short_number(std::uint64_t number) {
  if (number < 10'000) return std::to_string(number);
  const auto exact = static_cast<double>(number);
  if (exact < 999'500) return with_unit(exact / 1e3, "k");
  if (exact < 999'500'000) return with_unit(exact / 1e6, "M");
  return with_unit(exact / 1e9, "G");
}

std::string short_rate(double rate) {
  if (rate >= 9.95) return short_number(static_cast<std::uint64_t>(std::llround(rate)));
  if (rate < 0.05) return "0";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", rate);
  return text;
}

}  // namespace poold::cli::top
