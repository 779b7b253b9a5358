#include "daemon/settings/quote.hpp"

#include <cstddef>

namespace poold::settings {
namespace {

constexpr std::size_t quoted_size_max = 60;

}  // namespace

std::string escaped(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    } else {
      out += c;
    }
  }
  return out;
}

std::string quoted(std::string_view text) {
  std::string_view shown = text.substr(0, quoted_size_max);
  // A cut must not leave half a character.
  while (shown.size() < text.size() && !shown.empty() &&
         (static_cast<unsigned char>(text[shown.size()]) & 0xc0) == 0x80)
    shown.remove_suffix(1);
  std::string out = "'";
  out += escaped(shown);
  out += shown.size() < text.size() ? "…'" : "'";
  return out;
}

}  // namespace poold::settings
