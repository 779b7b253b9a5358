#include "common/cron.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <charconv>
#include <utility>
#include <vector>

namespace poold {
namespace {

using std::chrono::days;
using std::chrono::sys_days;

constexpr std::string_view month_names[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                            "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
  const char* name;
  int min, max;  // of numbers; 7 is Sunday, too
  const std::string_view* names;
  std::size_t names_count;
  int first_name;
  const char* accepted;
};
constexpr Field minute{"minute", 0, 59, nullptr, 0, 0, "0 to 59"};
constexpr Field hour{"hour", 0, 23, nullptr, 0, 0, "0 to 23"};
constexpr Field day{"day of the month", 1, 31, nullptr, 0, 0, "1 to 31"};
constexpr Field month{"month", 1, 12, month_names, 12, 1, "1 to 12 or jan to dec"};
constexpr Field weekday{"day of the week", 0, 7, weekday_names, 7, 0, "0 to 7 or sun to sat"};

constexpr std::uint32_t all_hours = (1u << 24) - 1;
constexpr std::uint32_t all_days = ((1u << 31) - 1) << 1;
constexpr std::uint32_t all_weekdays = (1u << 7) - 1;

// The Gregorian calendar comes again every 400 years; but what is not met in 8 (29 February around 2100) is
// never met: only a day that no month has.
constexpr int search_days = 9 * 366;

constexpr std::int64_t interval_min = 1, interval_max = std::int64_t{10} * 365 * 24 * 3600;

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::optional<int> read_number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text[0] == '-' || error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::optional<int> read_value(const Field& field, std::string_view text) {
  for (std::size_t i = 0; i < field.names_count; ++i)
    if (text == field.names[i]) return field.first_name + static_cast<int>(i);
  const auto value = read_number(text);
  return value && *value >= field.min && *value <= field.max ? value : std::nullopt;
}

// "*", "5", "1-5", each with a step: "*/10", "1-5/2", "5/10" (from 5 on).
std::optional<std::string> read_item(const Field& field, std::string_view item, std::uint64_t& bits) {
  const auto wrong = [&](const std::string& what) {
    return "the " + std::string(field.name) + " '" + std::string(item) + "' " + what;
  };
  const std::size_t slash = item.find('/');
  int step = 1;
  if (slash != item.npos) {
    const auto number = read_number(item.substr(slash + 1));
    if (!number || *number < 1 || *number > field.max)
      return wrong("has a wrong step (accepted: 1 to " + std::to_string(field.max) + ")");
    step = *number;
  }
  const std::string_view range = item.substr(0, slash);
  const std::size_t dash = range.find('-');
  // "*" of weekdays ends at Saturday, else Sunday would be met twice.
  const int last = &field == &weekday ? 6 : field.max;
  std::optional<int> from = field.min, to = last;
  if (range != "*") {
    from = read_value(field, range.substr(0, dash));
    if (dash != range.npos)
      to = read_value(field, range.substr(dash + 1));
    else if (slash == item.npos)
      to = from;
  }
  if (!from || !to)
    return wrong("is not known (accepted: " + std::string(field.accepted) + ", *, lists, ranges, steps)");
  if (*from > *to) return wrong("ends before it begins");
  for (int value = *from; value <= *to; value += step) bits |= std::uint64_t{1} << value;
  return std::nullopt;
}

std::optional<std::string> read_field(const Field& field, std::string_view text, std::uint64_t& bits) {
  while (true) {
    const std::size_t comma = text.find(',');
    if (auto error = read_item(field, text.substr(0, comma), bits)) return error;
    if (comma == text.npos) return std::nullopt;
    text.remove_prefix(comma + 1);
  }
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t begin = 0;;) {
    begin = text.find_first_not_of(" \t", begin);
    if (begin == text.npos) return words;
    const std::size_t end = std::min(text.find_first_of(" \t", begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
}

// "90s", "5m", "2h", "1d", in seconds.
std::optional<std::int64_t> read_interval(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || count < 1 || count > interval_max) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const std::int64_t seconds = unit == "s"   ? 1
                               : unit == "m" ? 60
                               : unit == "h" ? 3600
                               : unit == "d" ? 24 * 3600
                                             : 0;
  const std::int64_t interval = count * seconds;
  if (interval < interval_min || interval > interval_max) return std::nullopt;
  return interval;
}

std::optional<std::string_view> nickname(std::string_view text) {
  constexpr std::pair<std::string_view, std::string_view> nicknames[] = {
      {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
      {"@weekly", "0 0 * * 0"},  {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
      {"@annually", "0 0 1 1 *"}};
  for (const auto& [name, fields] : nicknames)
    if (name == text) return fields;
  return std::nullopt;
}

constexpr const char* accepted_forms =
    " (accepted: five fields such as '30 2 * * mon-fri' in one argument, @hourly, @daily, @weekly, @monthly, "
    "@yearly, or 'every 90s')";

}  // namespace

std::variant<Recurrence, std::string> Recurrence::parse(std::string_view text) {
  std::string lowered = lower(text);
  std::vector<std::string_view> words = split(lowered);
  Recurrence made;
  if (words.size() == 2 && words[0] == "every") {
    const auto interval = read_interval(words[1]);
    if (!interval)
      return "'" + std::string(text) +
             "': not an interval (accepted: such as every 90s, every 5m, every 2h, every 1d; "
             "at least 1s, at most ten years)";
    made.interval_ = *interval;
    return made;
  }
  if (words.size() == 1)
    if (const auto fields = nickname(words[0])) words = split(*fields);
  if (words.size() != 5) {
    const std::string found = words.size() == 1 ? "1 word" : std::to_string(words.size()) + " words";
    return "'" + std::string(text) + "': " + (text.empty() ? "empty" : found) + accepted_forms;
  }
  const Field* fields[] = {&minute, &hour, &day, &month, &weekday};
  std::array<std::uint64_t, 5> bits{};
  for (std::size_t i = 0; i < 5; ++i)
    if (auto error = read_field(*fields[i], words[i], bits[i]))
      return "'" + std::string(text) + "': " + *error;
  made.minutes_ = bits[0];
  made.hours_ = static_cast<std::uint32_t>(bits[1]);
  made.days_ = static_cast<std::uint32_t>(bits[2]);
  made.months_ = static_cast<std::uint32_t>(bits[3]);
  made.weekdays_ = static_cast<std::uint32_t>((bits[4] | bits[4] >> 7) & all_weekdays);
  if (!made.next_local(0)) return "'" + std::string(text) + "': no month that it names has such a day";
  return made;
}

bool Recurrence::matches_day(sys_days at) const {
  const std::chrono::year_month_day date(at);
  const auto in = [](std::uint32_t bits, unsigned value) { return (bits >> value & 1u) != 0; };
  if (!in(months_, static_cast<unsigned>(date.month()))) return false;
  const bool by_day = in(days_, static_cast<unsigned>(date.day()));
  const bool by_weekday = in(weekdays_, std::chrono::weekday(at).c_encoding());
  const bool both_restricted = days_ != all_days && weekdays_ != all_weekdays;
  return both_restricted ? by_day || by_weekday : by_day && by_weekday;
}

// On the clock on the wall, as if it were UTC: the first match at or after.
std::optional<std::int64_t> Recurrence::next_local(std::int64_t local) const {
  // Seconds are cut off upwards.
  const auto start =
      std::chrono::ceil<std::chrono::minutes>(std::chrono::sys_seconds(std::chrono::seconds(local)));
  const auto first_day = std::chrono::floor<days>(start);
  auto from = static_cast<int>((start - first_day).count());  // minute of the day
  for (int i = 0; i < search_days; ++i, from = 0) {
    const sys_days date = first_day + days(i);
    if (!matches_day(date)) continue;
    for (int in_day = from; in_day < 24 * 60;) {
      const int at_hour = in_day / 60;
      if ((hours_ >> at_hour & 1u) == 0) {
        in_day = (at_hour + 1) * 60;
        continue;
      }
      const std::uint64_t left = minutes_ >> (in_day % 60);
      if (left == 0) {
        in_day = (at_hour + 1) * 60;
        continue;
      }
      in_day += std::countr_zero(left);
      return (std::chrono::sys_seconds(date) + std::chrono::minutes(in_day)).time_since_epoch().count();
    }
  }
  return std::nullopt;
}

std::optional<std::int64_t> Recurrence::next(std::int64_t after, std::int64_t start,
                                             const TimeZone& zone) const {
  if (interval_ > 0) {
    if (after < start) return start;
    return start + ((after - start) / interval_ + 1) * interval_;
  }
  const bool hourly = hours_ == all_hours;
  // Two pieces of time that run straight through are on this side of a change and beyond it. In each, the
  // wall's clock is the time and a constant.
  std::int64_t begin = after + 1;
  while (true) {
    const TimeZone::Span span = zone.span_at(begin);
    // Wall times up to here have come before: in an hour that was gone through, or that is left out.
    std::int64_t local = begin + span.offset;
    if (!hourly && span.begin && span.offset < span.offset_before)
      local = std::max(local, *span.begin + span.offset_before);
    // What the clock jumped over happens now. What happens every hour has not missed anything.
    if (!hourly && span.begin && begin == *span.begin && span.offset > span.offset_before) {
      const auto skipped = next_local(*span.begin + span.offset_before);
      if (skipped && *skipped < *span.begin + span.offset) return begin;
    }
    const auto found = next_local(local);
    if (!found) return std::nullopt;
    const std::int64_t at = *found - span.offset;
    if (!span.end || at < *span.end) return at;
    begin = *span.end;
  }
}

}  // namespace poold
