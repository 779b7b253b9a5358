// The keys of the configuration, their limits and the rules between them. config/poold.yaml is this file for
// people: a change here is a change there.
#include "daemon/settings/settings.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/endpoint.hpp"
#include "daemon/settings/access.hpp"
#include "daemon/settings/cpus.hpp"
#include "daemon/settings/place.hpp"
#include "daemon/settings/process_settings.hpp"
#include "daemon/settings/quantity.hpp"
#include "daemon/settings/schedules.hpp"
#include "daemon/settings/scheduling.hpp"

namespace poold::settings {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr std::size_t pools_max = 1000;
constexpr std::uint64_t workers_max = 1000;  // of one pool
constexpr std::uint64_t slots_max = 10'000;  // of all pools: each is a process and four pipe ends
constexpr std::size_t pool_name_size_max = 63;
constexpr std::size_t path_size_max = 4095;  // PATH_MAX without its zero byte

constexpr Range<std::uint64_t> queue_size_range{1, 10'000'000};
constexpr Range<std::uint64_t> crash_attempts_range{1, 1000};
constexpr Range<std::uint64_t> max_tasks_range{1, 1'000'000'000};
constexpr Range<std::uint64_t> processes_range{0, 1000};
constexpr Range<std::uint64_t> retention_count_range{0, 10'000'000};
// Below, there is no room for a first and a last half (attempt_log.hpp).
constexpr Range<std::uint64_t> log_size_range{512 << 10, std::uint64_t{64} << 30};
constexpr Range<milliseconds> stop_timeout_range{seconds(0), hours(24)};
constexpr Range<milliseconds> grace_range{seconds(0), hours(24)};
constexpr Range<milliseconds> start_timeout_range{milliseconds(100), hours(24)};
constexpr Range<milliseconds> idle_timeout_range{milliseconds(1), hours(24)};
constexpr Range<std::uint64_t> recycle_tasks_range{1, 1'000'000'000};
constexpr Range<milliseconds> recycle_age_range{seconds(1), hours(24 * 3650)};
constexpr Range<std::uint64_t> recycle_memory_range{1 << 20, std::uint64_t{1} << 40};
constexpr Range<std::uint64_t> retention_size_range{0, std::uint64_t{64} << 40};
constexpr Range<milliseconds> retention_age_range{seconds(0), hours(24 * 3650)};

constexpr std::string_view log_levels[] = {"trace", "debug", "info", "warning", "error"};
constexpr std::string_view pool_kinds[] = {"command", "function"};  // in the order of PoolKind
constexpr std::string_view protocols[] = {"frames", "lines"};       // in the order of WorkerProtocol

// Puts a value where it belongs, if there is one.
template <typename Target, typename Value>
void set(Target& target, std::optional<Value> value) {
  if (value) target = static_cast<Target>(std::move(*value));
}

bool letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool pool_name_valid(std::string_view name) {
  return !name.empty() && name.size() <= pool_name_size_max && letter_or_digit(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
}

bool environment_name_valid(std::string_view name) {
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
         std::all_of(name.begin(), name.end(), [](char c) { return letter_or_digit(c) || c == '_'; });
}

std::optional<std::uint32_t> read_workers(const Place& place, std::uint32_t automatic) {
  const Node& node = place.node();
  if (node.kind == Node::Kind::text && node.text == "auto") return automatic;
  const auto number = place.number({0, workers_max}, " or auto");
  if (!number) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

// A map: the number of workers follows the work.
void read_workers(const Place& place, std::uint32_t automatic, Pool& pool) {
  if (place.node().kind != Node::Kind::map) return set(pool.workers, read_workers(place, automatic));
  MapReader map(place);
  pool.workers_min = 1;
  if (auto key = map.take("min")) set(pool.workers_min, key->number({0, workers_max}));
  if (auto key = map.take("max")) set(pool.workers, read_workers(*key, automatic));
  const auto spare = map.take("spare");
  if (spare) set(pool.spare, spare->number({0, workers_max}));
  if (auto key = map.take("idle_timeout")) set(pool.idle_timeout, key->duration(idle_timeout_range));
  map.finish();
  if (pool.workers == 0) place.complain("expected max to be at least 1");
  if (pool.workers_min > pool.workers)
    place.complain("min (" + format_number(*pool.workers_min) + ") is more than max (" +
                   format_number(pool.workers) + ")");
  if (spare && pool.spare > pool.workers)
    spare->complain("more than max (" + format_number(pool.workers) + ")");
}

void read_recycle(const Place& place, Pool::Recycle& recycle) {
  MapReader map(place);
  if (auto key = map.take("tasks")) set(recycle.tasks, key->number(recycle_tasks_range));
  if (auto key = map.take("age")) set(recycle.age, key->duration(recycle_age_range));
  if (auto key = map.take("memory")) set(recycle.memory, key->size(recycle_memory_range));
  if (auto key = map.take("spread")) set(recycle.spread, key->number({0, 90}));
  map.finish();
}

// Every pool gets its least number, and one where there is work.
void check_workers_max(const Place& place, const Settings& settings) {
  std::uint64_t least = 0;
  for (const Pool& pool : settings.pools) least += std::max(1u, pool.workers_min.value_or(pool.workers));
  if (least > settings.workers_max)
    place.complain("the pools have at least " + format_number(least) +
                   " workers, one at least for each; accepted: " + format_number(least) + " or more");
}

void read_durability(const Place& place, Durability& durability) {
  constexpr std::string_view accepted[] = {"memory", "disk"};
  if (const auto word = place.word(accepted)) durability = static_cast<Durability>(*word);
}

void read_program(const Place& place, std::vector<std::string>& program) {
  constexpr std::string_view accepted = "a program and its arguments as a list, such as [python3, worker.py]";
  const auto items = place.list(accepted);
  if (!items) return;
  if (items->empty()) place.complain("expected " + std::string(accepted) + "; got an empty list");
  for (const Place& item : *items) {
    const bool first = program.empty();
    set(program.emplace_back(), first ? item.text("the program's name or path") : item.any_text());
  }
}

void read_environment(const Place& place, std::map<std::string, std::string>& environment) {
  MapReader entries(place);
  for (const auto& [name, value] : entries.take_all()) {
    if (name.starts_with("POOLD_")) {
      value.complain_of_key("names that begin with POOLD_ are the daemon's own");
    } else if (!environment_name_valid(name)) {
      value.complain_of_key("expected a name of letters, digits and _, not beginning with a digit");
    }
    set(environment[name], value.any_text());
  }
}

void read_retention(const Place& place, Retention& retention) {
  MapReader map(place);
  if (auto key = map.take("age"))
    if (auto age = key->duration(retention_age_range, seconds(1)))
      retention.age = std::chrono::duration_cast<seconds>(*age);
  if (auto key = map.take("count")) set(retention.count, key->number(retention_count_range));
  if (auto key = map.take("size")) set(retention.size, key->size(retention_size_range));
  map.finish();
}

// What only makes sense together. Asks whether a key is there, not whether it was right, so that one mistake
// is one error.
void check_program(const Place& pool, PoolKind kind, const std::optional<Place>& plugin,
                   const std::optional<Place>& program, const std::optional<Place>& protocol) {
  if (protocol && !program)
    protocol->complain("only pools with a program of their own have it (kind: function, program: [...])");
  switch (kind) {
    case PoolKind::command:
      for (const auto* key : {&plugin, &program})
        if (*key)
          (*key)->complain(
              "only function pools have it; this pool runs commands (kind: function changes that)");
      return;
    case PoolKind::function:
      if (plugin && program) program->complain("a function pool has either plugin or program, not both");
      if (!plugin && !program) pool.complain("a function pool needs plugin or program");
      return;
  }
}

// What all pools are read with.
struct Machine {
  std::uint32_t cpus;  // what `workers: auto` and no `workers` at all stand for
  const Accounts& accounts;
};

Pool read_pool(const std::string& name, const Place& place, const Machine& machine) {
  Pool pool;
  pool.name = name;
  pool.workers = machine.cpus;
  MapReader map(place);
  bool kind_known = true;
  if (auto key = map.take("kind")) {
    const auto kind = key->word(pool_kinds);
    kind_known = kind.has_value();
    if (kind) pool.kind = static_cast<PoolKind>(*kind);
  }
  if (auto key = map.take("durability")) read_durability(*key, pool.durability);
  if (auto key = map.take("workers")) read_workers(*key, machine.cpus, pool);
  if (auto key = map.take("recycle")) read_recycle(*key, pool.recycle);
  const auto plugin = map.take("plugin"), program = map.take("program"), protocol = map.take("protocol");
  if (plugin) set(pool.plugin, plugin->text("a file name such as libpoold_examples.so"));
  if (program) read_program(*program, pool.program);
  if (protocol)
    if (const auto word = protocol->word(protocols)) pool.protocol = static_cast<WorkerProtocol>(*word);
  if (auto key = map.take("env")) read_environment(*key, pool.env);
  if (auto key = map.take("cwd")) set(pool.cwd, key->absolute_path(path_size_max));
  if (auto key = map.take("queue_size")) set(pool.queue_size, key->number(queue_size_range));
  if (auto key = map.take("crash_attempts")) set(pool.crash_attempts, key->number(crash_attempts_range));
  if (auto key = map.take("max_tasks")) set(pool.max_tasks, key->number(max_tasks_range));
  if (auto key = map.take("processes")) set(pool.processes, key->number(processes_range));
  if (auto key = map.take("grace")) set(pool.grace, key->duration(grace_range));
  if (auto key = map.take("start_timeout")) set(pool.start_timeout, key->duration(start_timeout_range));
  if (auto key = map.take("log_size")) set(pool.log_size, key->size(log_size_range));
  if (auto key = map.take("retention")) read_retention(*key, pool.retention);
  read_process_settings(map, machine.accounts, pool);
  read_scheduling(map, pool);
  map.finish();
  const bool is_map = place.node().kind == Node::Kind::map || place.node().kind == Node::Kind::null;
  if (kind_known && is_map) check_program(place, pool.kind, plugin, program, protocol);
  return pool;
}

constexpr std::string_view pool_name_rule =
    "a pool's name has 1 to 63 letters, digits, '.', '_' and '-', and begins with a letter or digit";

void read_templates(const Place& place, const Machine& machine, std::vector<Pool>& templates) {
  MapReader map(place);
  for (const auto& [name, pool] : map.take_all()) {
    if (!pool_name_valid(name)) pool.complain_of_key(std::string(pool_name_rule));
    templates.push_back(read_pool(name, pool, machine));
    if (templates.back().workers == 0) pool.complain("a template has at least one worker");
  }
  if (templates.size() > pools_max)
    place.complain(format_number(templates.size()) + " templates; accepted: at most " +
                   format_number(pools_max));
}

void read_pools(const Place& place, const Machine& machine, std::vector<Pool>& pools) {
  MapReader map(place);
  std::uint64_t slots = 0;
  for (const auto& [name, pool] : map.take_all()) {
    if (!pool_name_valid(name)) pool.complain_of_key(std::string(pool_name_rule));
    pools.push_back(read_pool(name, pool, machine));
    slots += pools.back().workers;
  }
  const bool is_map = place.node().kind == Node::Kind::map || place.node().kind == Node::Kind::null;
  if (pools.empty() && is_map)
    place.complain("expected at least one pool; leave the key out for a pool 'default'");
  if (pools.size() > pools_max)
    place.complain(format_number(pools.size()) + " pools; accepted: at most " + format_number(pools_max));
  if (slots > slots_max)
    place.complain(format_number(slots) + " workers in all pools; accepted: at most " +
                   format_number(slots_max));
}

Settings read_settings(const Place& place, const Accounts& accounts) {
  Settings settings;
  const Machine machine{static_cast<std::uint32_t>(std::min<std::uint64_t>(usable_cpus(), workers_max)),
                        accounts};
  MapReader map(place);
  if (auto key = map.take("socket")) set(settings.socket, key->absolute_path(socket_path_max));
  if (auto key = map.take("state_dir")) set(settings.state_dir, key->absolute_path(path_size_max));
  if (auto key = map.take("stop_timeout")) set(settings.stop_timeout, key->duration(stop_timeout_range));
  if (auto key = map.take("log_level"))
    if (auto level = key->word(log_levels)) settings.log_level = log_levels[*level];
  if (auto key = map.take("access")) read_access(*key, accounts, settings.access);
  if (auto key = map.take("limits")) read_limits(*key, settings.limits);
  if (auto key = map.take("templates")) read_templates(*key, machine, settings.templates);
  if (auto key = map.take("pools")) {
    read_pools(*key, machine, settings.pools);
  } else {
    const Node nothing;
    settings.pools.push_back(read_pool("default", Place(place.report(), nothing, "pools.default"), machine));
  }
  if (auto key = map.take("workers_max")) {
    set(settings.workers_max, key->number({1, slots_max}));
    if (settings.workers_max > 0) check_workers_max(*key, settings);
  }
  if (auto key = map.take("schedules")) read_schedules(*key, settings.pools, settings.schedules);
  map.finish();
  return settings;
}

}  // namespace

Result parse(std::string_view text, std::string_view file) { return parse(text, file, system_accounts()); }

Result parse(std::string_view text, std::string_view file, const Accounts& accounts) {
  auto document = load_document(text);
  if (auto* error = std::get_if<Error>(&document)) {
    error->file = file;
    return Errors{std::move(*error)};
  }
  Report report(file);
  Settings settings = read_settings(Place(report, std::get<Node>(document), ""), accounts);
  if (!report.empty()) return report.take();
  return settings;
}

}  // namespace poold::settings
