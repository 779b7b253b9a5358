// What the two sides of an attempt's log agree on beyond the public header; private to attempt_log_writer.cpp
// and attempt_log_reader.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/attempt_log.hpp"

namespace poold::attempt_log {

inline constexpr std::size_t head_size = 5;
inline constexpr std::uint8_t padding = 0;
inline constexpr std::uint8_t mark = 3;
inline constexpr std::size_t mark_size = 8;

inline std::uint64_t chunk_start(std::uint64_t offset) { return offset / log_chunk_size * log_chunk_size; }

}  // namespace poold::attempt_log
