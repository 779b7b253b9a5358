#include "daemon/settings/scheduling.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include "daemon/settings/quantity.hpp"

namespace poold::settings {
namespace {

using std::chrono::hours;

constexpr Range<std::uint64_t> limit_size_range{0, 1'000'000};
constexpr Range<std::uint64_t> burst_range{1, 1'000'000};
constexpr Range<std::uint64_t> user_tasks_range{1, 10'000'000};
constexpr Range<std::uint64_t> weight_range{1, 1000};
constexpr Range<milliseconds> ageing_range{milliseconds(0), hours(24)};
constexpr std::uint64_t rate_count_max = 1'000'000;
constexpr milliseconds rate_per_max = hours(24);
constexpr std::size_t limit_name_size_max = 255;
constexpr std::uint64_t uid_max = 0xffff'fffe;

// "10/s", "100/m", "5/10s".
std::optional<Rate> parse_rate(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  const auto count = parse_number(text.substr(0, slash));
  std::string per(text.substr(slash + 1));
  if (!per.empty() && !std::isdigit(static_cast<unsigned char>(per[0]))) per = "1" + per;
  const auto time = parse_duration(per);
  if (!count || *count < 1 || *count > rate_count_max) return std::nullopt;
  if (!time || *time < milliseconds(1) || *time > rate_per_max) return std::nullopt;
  return Rate{static_cast<std::uint32_t>(*count), *time, 1};
}

// The keys `rate` and `burst`.
void read_rate(MapReader& map, Rate& rate) {
  const auto key = map.take("rate"), burst = map.take("burst");
  if (key) {
    const Node& node = key->node();
    const auto parsed = node.kind == Node::Kind::text ? parse_rate(node.text) : std::nullopt;
    if (parsed)
      rate = *parsed;
    else
      key->expect("a rate such as 10/s, 100/m or 5/10s");
  }
  if (burst && !key) burst->complain("only a rate has a burst");
  if (burst && key)
    if (const auto number = burst->number(burst_range)) rate.burst = static_cast<std::uint32_t>(*number);
}

void read_shares(const Place& place, std::vector<Pool::Share>& shares) {
  MapReader map(place);
  for (const auto& [name, value] : map.take_all()) {
    const auto uid = parse_number(name);
    if (!uid || *uid > uid_max) value.complain_of_key("expected the number of a user (uid)");
    const auto weight = value.number(weight_range);
    if (uid && weight)
      shares.push_back({static_cast<std::uint32_t>(*uid), static_cast<std::uint32_t>(*weight)});
  }
}

}  // namespace

void read_scheduling(MapReader& map, Pool& pool) {
  read_rate(map, pool.rate);
  if (auto key = map.take("ageing"))
    if (const auto ageing = key->duration(ageing_range)) pool.ageing = *ageing;
  if (auto key = map.take("user_tasks"))
    if (const auto number = key->number(user_tasks_range))
      pool.user_tasks = static_cast<std::uint32_t>(*number);
  if (auto key = map.take("shares")) read_shares(*key, pool.shares);
}

void read_limits(const Place& place, std::vector<TaskLimit>& limits) {
  MapReader map(place);
  for (const auto& [name, value] : map.take_all()) {
    TaskLimit limit;
    limit.name = name;
    const bool named = !name.empty() && name.size() <= limit_name_size_max &&
                       std::ranges::none_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (!named) value.complain_of_key("a limit's name has 1 to 255 bytes and no control characters");
    std::optional<std::uint64_t> size;
    if (value.node().kind == Node::Kind::map) {
      MapReader keys(value);
      if (auto key = keys.take("size")) size = key->number(limit_size_range);
      read_rate(keys, limit.rate);
      keys.finish();
    } else {
      size = value.number(limit_size_range, " or a map of size, rate and burst");
    }
    if (size) limit.size = static_cast<std::uint32_t>(*size);
    limits.push_back(std::move(limit));
  }
}

}  // namespace poold::settings
