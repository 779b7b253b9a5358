// The file's own words in messages: they end on terminals and in logs, so control characters are escaped.
#pragma once

#include <string>
#include <string_view>

namespace poold::settings {

// Control characters as \x1b.
std::string escaped(std::string_view text);
// Escaped, in single quotes, cut after 60 bytes.
std::string quoted(std::string_view text);

}  // namespace poold::settings
