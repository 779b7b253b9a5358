// Numbers with units as people write them: 500ms, 30s, 2h, 64MiB, 1000. No YAML and no limits here.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace poold::settings {

// Decimal digits, nothing else.
std::optional<std::uint64_t> parse_number(std::string_view text);
// Digits and one of ms, s, m, h, d.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// Digits and one of B, KiB, MiB, GiB.
std::optional<std::uint64_t> parse_size(std::string_view text);

// In the largest unit that divides it; the parsers read it back.
std::string format_duration(std::chrono::milliseconds duration);
std::string format_size(std::uint64_t size);
// With commas: 1,000,000.
std::string format_number(std::uint64_t number);

}  // namespace poold::settings
