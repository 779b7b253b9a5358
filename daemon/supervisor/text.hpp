// Words from outside (the configuration, file names, an engine's message) made fit for a log line and for a
// protobuf string.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace poold::supervisor {

// Enough for any path with a sentence around it; many such texts fit one datagram.
inline constexpr std::size_t printable_max = 8 * 1024;

// The text with control characters and bytes that are not UTF-8 as \xNN, cut at about size_max bytes.
std::string printable(std::string_view text, std::size_t size_max = printable_max);

}  // namespace poold::supervisor
