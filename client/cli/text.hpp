// Text for people and terminals: quoting for a shell, and escaping of what a terminal would take as orders.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace poold::cli {

// A word that a POSIX shell reads back as it is; bytes that a terminal must not see become $'...'.
std::string shell_quoted(std::string_view word);
std::string shell_quoted(std::span<const std::string> words);

// Control characters, C1 controls, bidirectional overrides and bytes that are not UTF-8 as \xNN, \n, \t ...;
// one line.
std::string escaped_line(std::string_view text);

// The same for output that comes in pieces and has lines: newlines and tabs stay, a character split between
// two pieces stays whole.
class TerminalEscaper {
 public:
  std::string escape(std::string_view piece);
  // What is left of a character that never became whole.
  std::string finish();

 private:
  std::string carried_;
};

// How many columns the text takes, one for each code point.
std::size_t text_width(std::string_view text);
// At most so many code points; a cut is shown by an ellipsis.
std::string cut_to_width(std::string_view text, std::size_t width_max);

// A line on stderr: "poolctl: ...", escaped.
void complain(std::string_view message);

}  // namespace poold::cli
