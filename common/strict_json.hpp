// What proto-JSON lets pass and poold does not: duplicate keys, invalid UTF-8, deep nesting, and integers
// that a double would round.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace poold {

// Deeper than any request needs; shallow enough for protobuf's own recursion limit of 100.
inline constexpr std::size_t json_depth_max = 64;

// Nothing if the text may go on to the proto-JSON parser; else what is wrong and where. Integers beyond ±2^53
// are refused inside "args", "kwargs" and "value" only, where they would become doubles; elsewhere the
// field's own range counts.
std::optional<std::string> check_strict_json(std::string_view text);

// With quotes. Of text that is no UTF-8, every byte outside ASCII becomes a question mark.
void append_json_string(std::string& out, std::string_view text);

}  // namespace poold
