// When something is to happen again and again: "30 2 * * mon-fri", "@daily", "every 90s". Pure: times are
// seconds since 1970 (UTC), the time zone is an argument (time_zone.hpp). Whoever asks decides what happens
// then.
//
// Five fields: minute, hour, day of the month, month, day of the week; lists, ranges, steps, and names of
// months and days in English. As in cron(8), where both day fields leave something out, either may match. A
// field that names all of its values leaves nothing out, however it is written ("*/1", "0-6").
//
// Where a clock is put forward, a time that does not exist is the moment of the change. Where it is put back,
// a time that comes twice is its first coming; an expression that matches every hour also matches in the
// second, so that "*/10 * * * *" goes on every ten minutes.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/time_zone.hpp"

namespace poold {

class Recurrence {
 public:
  // The error says what is wrong and what is accepted, without naming a field or option.
  static std::variant<Recurrence, std::string> parse(std::string_view text);

  // The first time after `after`; nothing if there is none (never so for what parse() accepts). `start` is
  // from where "every ..." counts.
  std::optional<std::int64_t> next(std::int64_t after, std::int64_t start, const TimeZone& zone) const;

  bool operator==(const Recurrence&) const = default;

 private:
  std::optional<std::int64_t> next_local(std::int64_t local) const;
  bool matches_day(std::chrono::sys_days day) const;

  std::int64_t interval_ = 0;  // of "every", in seconds; 0: the fields count
  // Bit n: the value n.
  std::uint64_t minutes_ = 0;
  std::uint32_t hours_ = 0;
  std::uint32_t days_ = 0;      // 1 to 31
  std::uint32_t months_ = 0;    // 1 to 12
  std::uint32_t weekdays_ = 0;  // 0 (Sunday) to 6
};

}  // namespace poold
