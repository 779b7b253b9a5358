// Limits of single fields that more than one reader checks.
#pragma once

#include <cstddef>
#include <cstdint>

namespace poold::engine {

// Names, keys, labels and content types: enough for people, little enough for a table in memory.
inline constexpr std::size_t name_bytes_max = 255;
inline constexpr std::uint32_t attempts_max = 1'000'000;

}  // namespace poold::engine
