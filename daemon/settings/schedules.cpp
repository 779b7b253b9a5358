#include "daemon/settings/schedules.hpp"

#include <algorithm>
#include <utility>

#include "common/cron.hpp"
#include "common/time_zone_file.hpp"
#include "daemon/settings/quantity.hpp"

namespace poold::settings {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr std::size_t schedules_max = 10'000;
constexpr std::size_t name_size_max = 255, path_size_max = 4095;
constexpr Range<std::uint64_t> attempts_range{1, 1'000'000};
constexpr Range<milliseconds> jitter_range{seconds(0), hours(24)};
constexpr Range<milliseconds> timeout_range{milliseconds(1), hours(24 * 3650)};
constexpr std::string_view overlaps[] = {"skip", "queue", "replace"};  // in the order of the enums
constexpr std::string_view catch_ups[] = {"once", "all", "none"};

bool name_valid(std::string_view name) {
  return !name.empty() && name.size() <= name_size_max &&
         std::ranges::none_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

void read_texts(const Place& place, std::string_view accepted, std::vector<std::string>& into) {
  const auto items = place.list(accepted);
  if (!items) return;
  for (const Place& item : *items)
    if (auto text = item.any_text()) into.push_back(std::move(*text));
}

void read_times(MapReader& map, const Place& place, Schedule& schedule) {
  const auto spec = map.take("spec");
  if (!spec) place.complain("a schedule needs spec, such as '30 2 * * mon-fri', @daily or every 90s");
  if (spec)
    if (auto text = spec->text("when it runs, such as '30 2 * * mon-fri', @daily or every 90s")) {
      schedule.spec = std::move(*text);
      const auto parsed = Recurrence::parse(schedule.spec);
      if (const auto* error = std::get_if<std::string>(&parsed)) spec->complain(*error);
    }
  if (auto key = map.take("time_zone"))
    if (auto text = key->text("a time zone such as Europe/Berlin or UTC")) {
      schedule.time_zone = std::move(*text);
      const auto zone = load_time_zone(schedule.time_zone);
      if (const auto* error = std::get_if<std::string>(&zone)) key->complain(*error);
    }
  if (auto key = map.take("overlap"))
    if (const auto word = key->word(overlaps)) schedule.overlap = static_cast<Schedule::Overlap>(*word);
  if (auto key = map.take("catch_up"))
    if (const auto word = key->word(catch_ups)) schedule.catch_up = static_cast<Schedule::CatchUp>(*word);
  if (auto key = map.take("jitter"))
    if (const auto jitter = key->duration(jitter_range, seconds(1)))
      schedule.jitter = std::chrono::duration_cast<seconds>(*jitter);
}

// Its pool exists and takes such work.
void check_pool(const Place& place, const std::optional<Place>& pool_key, const std::vector<Pool>& pools,
                const Schedule& schedule, bool is_function) {
  const auto pool = std::ranges::find(pools, schedule.pool, &Pool::name);
  const Place& where = pool_key ? *pool_key : place;
  if (pool == pools.end()) return where.complain("there is no pool '" + schedule.pool + "' in this file");
  if ((pool->kind == PoolKind::function) != is_function)
    where.complain("the pool '" + schedule.pool + (is_function ? "' runs commands" : "' runs functions"));
}

Schedule read_schedule(const std::string& name, const Place& place, const std::vector<Pool>& pools) {
  Schedule schedule;
  schedule.name = name;
  MapReader map(place);
  read_times(map, place, schedule);
  const auto pool = map.take("pool"), command = map.take("command"), function = map.take("function");
  const auto env = map.take("env"), cwd = map.take("cwd"), args = map.take("args");
  if (pool)
    if (auto text = pool->text("the name of a pool")) schedule.pool = std::move(*text);
  if (command)
    read_texts(*command, "a program and its arguments as a list, such as [backup, --all]", schedule.command);
  if (function)
    if (auto text = function->text("the name of a function")) schedule.function = std::move(*text);
  if (args) read_texts(*args, "arguments as a list", schedule.args);
  if (env) {
    MapReader entries(*env);
    for (const auto& [variable, value] : entries.take_all())
      if (auto text = value.any_text()) schedule.env[variable] = std::move(*text);
  }
  if (cwd)
    if (auto path = cwd->absolute_path(path_size_max)) schedule.cwd = std::move(*path);
  if (auto key = map.take("attempts"))
    if (const auto number = key->number(attempts_range))
      schedule.attempts = static_cast<std::uint32_t>(*number);
  if (auto key = map.take("timeout"))
    if (const auto timeout = key->duration(timeout_range)) schedule.timeout = *timeout;
  map.finish();
  if (command && function) function->complain("a schedule has either command or function, not both");
  if (!command && !function) place.complain("a schedule needs command or function");
  if (command && schedule.command.empty()) command->complain("expected at least the program");
  for (const auto* key : {&env, &cwd})
    if (function && *key) (*key)->complain("only a command has it");
  if (command && args) args->complain("only a function has it; a command's arguments stand in command");
  if (command || function) check_pool(place, pool, pools, schedule, function.has_value());
  return schedule;
}

}  // namespace

void read_schedules(const Place& place, const std::vector<Pool>& pools, std::vector<Schedule>& schedules) {
  MapReader map(place);
  for (const auto& [name, value] : map.take_all()) {
    if (!name_valid(name))
      value.complain_of_key("a schedule's name has 1 to 255 bytes and no control characters");
    schedules.push_back(read_schedule(name, value, pools));
  }
  if (schedules.size() > schedules_max)
    place.complain(format_number(schedules.size()) + " schedules; accepted: at most " +
                   format_number(schedules_max));
}

}  // namespace poold::settings
