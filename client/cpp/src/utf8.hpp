// Whether bytes are UTF-8 as Unicode defines it (table 3-7: no overlong forms, no surrogates, nothing above
// U+10FFFF), which is what protobuf's parsers insist on for strings.
#pragma once

#include <string>
#include <string_view>

namespace poold {

bool is_utf8(std::string_view text);

// The text with every byte that breaks the encoding replaced by U+FFFD, for messages that must arrive.
std::string to_utf8(std::string_view text);

}  // namespace poold
