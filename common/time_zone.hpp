// How far the clocks of a place are from UTC, and when that changes: a table read from a file of the tz
// database (RFC 8536), such as /usr/share/zoneinfo/Europe/Berlin. Pure: who calls reads the file.
//
// Not the C library's functions: they keep one zone for the whole process and take it from its environment,
// which must not change while other threads look at it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace poold {

class TimeZone {
 public:
  // UTC.
  TimeZone() = default;
  // The bytes of a file; the error says what is wrong with them.
  static std::variant<TimeZone, std::string> read(std::string_view bytes);

  // Time without a change, in seconds since 1970 (UTC).
  struct Span {
    std::optional<std::int64_t> begin, end;  // absent: none is known; the end does not belong to it
    std::int32_t offset = 0;                 // seconds east of UTC
    std::int32_t offset_before = 0;          // of the span before it; its own if there is none
  };
  Span span_at(std::int64_t time) const;
  std::int32_t offset_at(std::int64_t time) const { return span_at(time).offset; }

 private:
  struct Change {
    std::int64_t at = 0;
    std::int32_t offset = 0;
  };
  void add(std::int64_t at, std::int32_t offset);

  std::int32_t first_offset_ = 0;  // before the first change
  std::vector<Change> changes_;    // by time; each changes the offset
};

// May this be a zone's name below the tz database's directory ("Europe/Berlin")? Nothing that leads out of it
// may.
bool is_time_zone_name(std::string_view name);

}  // namespace poold
