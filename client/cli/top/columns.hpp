// How wide text is on a terminal, and numbers in as few columns as a person needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace poold::cli::top {

// Columns of the terminal: wide characters take two, combining ones none. As the locale knows it.
std::size_t columns_of(std::string_view text);
// At most so many columns; a cut is shown by an ellipsis.
std::string cut_to_columns(std::string_view text, std::size_t columns_max);

// "9999", "12.3k", "4.56M": at most five columns up to a billion.
std::string short_number(std::uint64_t number);
// "0", "0.4", "12", "12.3k", for what is counted in a second.
std::string short_rate(double rate);

}  // namespace poold::cli::top
