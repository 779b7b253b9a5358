#include "client/cli/reading.hpp"

#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "client/cpp/src/task_proto.hpp"

namespace poold::cli {
namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;
  double milliseconds;
};
constexpr std::array<Unit, 6> units = {
    {{"ms", 1}, {"s", 1e3}, {"", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}}};
// A hundred years: longer than any wait, and far from where milliseconds would overflow.
constexpr double duration_ms_max = 100 * 365.0 * 86400e3;

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return result;
}

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

// Says in which option it stands, if it is known.
std::string named(std::string_view option) { return option.empty() ? "" : std::string(option) + ": "; }

std::string wrong_time(std::string_view text, std::string_view option) {
  return named(option) + "not a time: " + quoted(text) + " (accepted: 10m for ten minutes ago, or 2024-05-01T12:00:00Z)";
}

TaskState read_state(std::string_view text) {
  const std::string wanted = upper(text);
  for (int number = 1; number <= static_cast<int>(TaskState::cancelled); ++number) {
    const auto state = static_cast<TaskState>(number);
    if (to_string(state) == wanted) return state;
  }
  throw UsageError("unknown state " + quoted(text) +
                   " (accepted: waiting, queued, running, succeeded, failed, cancelled)");
}

// Takes the digits at the front; false if there is none.
bool take_digits(std::string_view& text) {
  const std::size_t count = std::min(text.find_first_not_of("0123456789"), text.size());
  text.remove_prefix(count);
  return count > 0;
}

// By the grammar of RFC 8259: "01" is a word, "1e999" is a number that no double holds.
bool is_json_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const bool zero = text.starts_with('0');
  const std::size_t before = text.size();
  if (!take_digits(text) || (zero && before - text.size() > 1)) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (!take_digits(text)) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (!take_digits(text)) return false;
  }
  return text.empty();
}

// Changes of one letter, and of the order of two neighbours, that lead from one word to the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      d[i][j] =
          std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

milliseconds read_duration(std::string_view text, std::string_view option) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const auto found = std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == unit; });
  if (error != std::errc() || found == units.end() || !(number >= 0) ||
      number * found->milliseconds > duration_ms_max)
    throw UsageError(named(option) + "not a duration: " + quoted(text) + " (accepted: 500ms, 30s, 2m, 1h, 3d)");
  return milliseconds(std::llround(number * found->milliseconds));
}

Time read_time(std::string_view text, Time now, std::string_view option) {
  google::protobuf::Timestamp stamp;
  if (text.find('T') != std::string_view::npos) {
    if (google::protobuf::util::TimeUtil::FromString(std::string(text), &stamp)) return from_proto(stamp);
  } else if (text.find_first_of(":-") == std::string_view::npos) {
    try {
      return now - read_duration(text);
    } catch (const UsageError&) {
      throw UsageError(wrong_time(text, option));
    }
  }
  throw UsageError(wrong_time(text, option));
}

std::vector<TaskState> read_states(std::string_view text) {
  std::vector<TaskState> states;
  for (;;) {
    const std::size_t comma = text.find(',');
    states.push_back(read_state(text.substr(0, comma)));
    if (comma == std::string_view::npos) return states;
    text.remove_prefix(comma + 1);
  }
}

int read_signal(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= 1 && number <= 64) return number;
  std::string name = upper(text);
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (int candidate = 1; candidate < 32; ++candidate) {
    const char* known = ::sigabbrev_np(candidate);
    if (known && name == known) return candidate;
  }
  throw UsageError("unknown signal " + quoted(text) + " (accepted: TERM, SIGTERM, 15; 1 to 64)");
}

std::pair<std::string, std::string> read_pair(std::string_view option, std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    throw UsageError(std::string(option) + " takes K=V, not " + quoted(text));
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

Value read_value(std::string_view text) {
  try {
    return Value::from_json(text);
  } catch (const std::invalid_argument& error) {
    if (is_json_number(text)) throw UsageError("argument " + quoted(text) + ": " + error.what());
    return std::string(text);
  }
}

std::string short_duration(std::chrono::nanoseconds duration) {
  const long long s = std::max<long long>(0, std::chrono::floor<std::chrono::seconds>(duration).count());
  char text[32];
  if (s < 60)
    std::snprintf(text, sizeof text, "%llds", s);
  else if (s < 3600)
    std::snprintf(text, sizeof text, "%lldm%02llds", s / 60, s % 60);
  else if (s < 86400)
    std::snprintf(text, sizeof text, "%lldh%02lldm", s / 3600, s / 60 % 60);
  else
    std::snprintf(text, sizeof text, "%lldd%02lldh", s / 86400, s / 3600 % 24);
  return text;
}

std::string exact_duration(std::chrono::nanoseconds duration) {
  if (duration >= std::chrono::minutes(1)) return short_duration(duration);
  char text[32];
  std::snprintf(text, sizeof text, "%.3f s", std::chrono::duration<double>(duration).count());
  return text;
}

std::string nearest(std::string_view word, std::span<const std::string> known) {
  std::string best;
  // A third of the letters may be wrong, but never all that a short word has.
  std::size_t best_distance = (word.size() <= 3 ? 1 : std::max<std::size_t>(2, word.size() / 3)) + 1;
  for (const std::string& candidate : known) {
    const std::size_t d = candidate.starts_with(word) && word.size() >= 2 ? 1 : distance(word, candidate);
    if (d < best_distance && d < candidate.size()) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace poold::cli
