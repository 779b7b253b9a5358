#include "common/time_zone.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace poold {
namespace {

// Rules that go on are written out up to here. A daemon of that year reads the file anew.
constexpr int last_year = 2137;
constexpr std::size_t changes_max = 10'000, offset_max = 26 * 3600;

// Bytes taken from the front, big-endian. Taking more than there are fails for good.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool failed() const { return failed_; }
  std::string_view take(std::size_t count) {
    if (count > bytes_.size()) {
      failed_ = true;
      bytes_ = {};
      return {};
    }
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }
  std::int64_t number(std::size_t size) {
    const std::string_view bytes = take(size);
    if (bytes.empty()) return 0;
    std::uint64_t value = (bytes[0] & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
    return static_cast<std::int64_t>(value);
  }
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

struct Head {
  char version = 0;
  std::size_t is_ut = 0, is_standard = 0, leaps = 0, times = 0, types = 0, characters = 0;
  std::size_t body_size(std::size_t time_size) const {
    return times * time_size + times + types * 6 + characters + leaps * (time_size + 4) + is_standard + is_ut;
  }
};

std::optional<Head> read_head(Reader& reader) {
  if (reader.take(4) != "TZif") return std::nullopt;
  Head head;
  const std::string_view version = reader.take(1);
  reader.take(15);
  for (std::size_t* count :
       {&head.is_ut, &head.is_standard, &head.leaps, &head.times, &head.types, &head.characters}) {
    const std::int64_t value = reader.number(4);
    if (value < 0 || value > static_cast<std::int64_t>(changes_max)) return std::nullopt;
    *count = static_cast<std::size_t>(value);
  }
  if (reader.failed() || head.types == 0) return std::nullopt;
  head.version = version[0];
  return head;
}

// The POSIX rule after the table: "CET-1CEST,M3.5.0,M10.5.0/3".
class Rule {
 public:
  explicit Rule(std::string_view text) : text_(text) {}

  // When the clocks change, in seconds after the year's beginning on the wall.
  struct Day {
    enum class Form { month_week, julian, zero_based } form = Form::month_week;
    int month = 0, week = 0, number = 0;
    std::int64_t time = 2 * 3600;
  };
  bool parse() {
    if (!name() || !offset(standard)) return false;
    standard = -standard;
    if (text_.empty()) return true;
    daylight = standard + 3600;
    if (!name()) return false;
    if (!text_.empty() && text_[0] != ',') {
      if (!offset(*daylight)) return false;
      daylight = -*daylight;
    }
    return text_.starts_with(',') && day(begin) && text_.starts_with(',') && day(end) && text_.empty();
  }

  std::int64_t standard = 0;  // east of UTC
  std::optional<std::int64_t> daylight;
  Day begin, end;

 private:
  bool name() {
    if (text_.starts_with('<')) {
      const std::size_t close = text_.find('>');
      if (close == text_.npos) return false;
      text_.remove_prefix(close + 1);
      return true;
    }
    const std::size_t end_of_name = static_cast<std::size_t>(
        std::ranges::find_if(text_,
                             [](char c) { return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')); }) -
        text_.begin());
    text_.remove_prefix(end_of_name);
    return end_of_name > 0;
  }
  bool number(std::int64_t& value) {
    std::size_t digits = 0;
    value = 0;
    for (; digits < text_.size() && digits < 4 && text_[digits] >= '0' && text_[digits] <= '9'; ++digits)
      value = value * 10 + (text_[digits] - '0');
    text_.remove_prefix(digits);
    return digits > 0;
  }
  bool offset(std::int64_t& seconds) {
    const bool negative = text_.starts_with('-');
    if (negative || text_.starts_with('+')) text_.remove_prefix(1);
    std::int64_t part = 0;
    if (!number(part)) return false;
    seconds = part * 3600;
    for (const int unit : {60, 1}) {
      if (!text_.starts_with(':')) break;
      text_.remove_prefix(1);
      if (!number(part)) return false;
      seconds += part * unit;
    }
    if (negative) seconds = -seconds;
    return true;
  }
  bool day(Day& into) {
    text_.remove_prefix(1);
    std::int64_t a = 0, b = 0, c = 0;
    if (text_.starts_with('M')) {
      text_.remove_prefix(1);
      const auto dot = [&] { return text_.starts_with('.') && (text_.remove_prefix(1), true); };
      if (!number(a) || !dot() || !number(b) || !dot() || !number(c)) return false;
      if (a < 1 || a > 12 || b < 1 || b > 5 || c > 6) return false;
      into = {Day::Form::month_week, static_cast<int>(a), static_cast<int>(b), static_cast<int>(c)};
    } else {
      const bool julian = text_.starts_with('J');
      if (julian) text_.remove_prefix(1);
      if (!number(a) || a > 365 || (julian && a < 1)) return false;
      into = {julian ? Day::Form::julian : Day::Form::zero_based, 0, 0, static_cast<int>(a)};
    }
    if (!text_.starts_with('/')) return true;
    text_.remove_prefix(1);
    return offset(into.time);
  }

  std::string_view text_;
};

std::int64_t when(const Rule::Day& day, int year_number) {
  using namespace std::chrono;
  const std::chrono::year year(year_number);
  sys_days date = sys_days(year / January / 1);
  switch (day.form) {
    case Rule::Day::Form::month_week: {
      const std::chrono::month month(static_cast<unsigned>(day.month));
      const std::chrono::weekday weekday(static_cast<unsigned>(day.number));
      date = day.week == 5 ? sys_days(year / month / weekday[last])
                           : sys_days(year / month / weekday[static_cast<unsigned>(day.week)]);
      break;
    }
    case Rule::Day::Form::julian:  // 29 February does not count
      date += days(day.number - 1 + (year.is_leap() && day.number > 59 ? 1 : 0));
      break;
    case Rule::Day::Form::zero_based:
      date += days(day.number);
      break;
  }
  return sys_seconds(date).time_since_epoch().count() + day.time;
}

}  // namespace

void TimeZone::add(std::int64_t at, std::int32_t offset) {
  const std::int32_t before = changes_.empty() ? first_offset_ : changes_.back().offset;
  if (offset != before && (changes_.empty() || at > changes_.back().at)) changes_.push_back({at, offset});
}

std::variant<TimeZone, std::string> TimeZone::read(std::string_view bytes) {
  const std::string not_a_zone = "not a file of the tz database";
  Reader reader(bytes);
  auto head = read_head(reader);
  if (!head) return not_a_zone;
  std::size_t time_size = 4;
  if (head->version >= '2') {
    // The old table, with times of 32 bits, comes first.
    reader.take(head->body_size(4));
    head = read_head(reader);
    if (!head) return not_a_zone;
    time_size = 8;
  }
  std::vector<std::int64_t> times;
  for (std::size_t i = 0; i < head->times; ++i) times.push_back(reader.number(time_size));
  const std::string_view types = reader.take(head->times);
  std::vector<std::int32_t> offsets;
  for (std::size_t i = 0; i < head->types; ++i) {
    const std::int64_t offset = reader.number(4);
    if (offset < -std::int64_t{offset_max} || offset > std::int64_t{offset_max}) return not_a_zone;
    offsets.push_back(static_cast<std::int32_t>(offset));
    reader.take(2);
  }
  reader.take(head->characters + head->leaps * (time_size + 4) + head->is_standard + head->is_ut);
  if (reader.failed()) return not_a_zone;
  TimeZone zone;
  zone.first_offset_ = offsets[0];
  for (std::size_t i = 0; i < times.size(); ++i) {
    const auto type = static_cast<unsigned char>(types[i]);
    if (type >= offsets.size()) return not_a_zone;
    zone.add(times[i], offsets[type]);
  }
  std::string_view footer = reader.rest();
  if (footer.size() < 3 || footer.front() != '\n') return zone;
  footer = footer.substr(1, footer.find('\n', 1) - 1);
  Rule rule(footer);
  if (footer.empty()) return zone;
  if (!rule.parse()) return not_a_zone;
  const auto standard = static_cast<std::int32_t>(rule.standard);
  const std::int64_t known = times.empty() ? INT64_MIN : times.back();
  if (!rule.daylight) {
    if (times.empty()) zone.first_offset_ = standard;
    return zone;
  }
  for (int year = 1970; year <= last_year; ++year) {
    // Each on the clock as it shows before the change; in the south the year's first change ends the summer.
    TimeZone::Change on{when(rule.begin, year) - rule.standard, static_cast<std::int32_t>(*rule.daylight)};
    TimeZone::Change off{when(rule.end, year) - *rule.daylight, standard};
    if (off.at < on.at) std::swap(on, off);
    for (const auto& change : {on, off})
      if (change.at > known) zone.add(change.at, change.offset);
  }
  return zone;
}

TimeZone::Span TimeZone::span_at(std::int64_t time) const {
  const auto next = std::ranges::upper_bound(changes_, time, {}, &Change::at);
  Span span;
  if (next != changes_.end()) span.end = next->at;
  if (next == changes_.begin()) {
    span.offset = span.offset_before = first_offset_;
    return span;
  }
  const auto current = next - 1;
  span.begin = current->at;
  span.offset = current->offset;
  span.offset_before = current == changes_.begin() ? first_offset_ : (current - 1)->offset;
  return span;
}

bool is_time_zone_name(std::string_view name) {
  if (name.empty() || name.size() > 255 || name.front() == '/' || name.back() == '/') return false;
  if (name.find("..") != name.npos || name.find("//") != name.npos) return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '+' || c == '/';
  });
}

}  // namespace poold
