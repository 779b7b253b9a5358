#include "daemon/settings/process_settings.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <charconv>

#include "daemon/settings/quantity.hpp"
#include "daemon/settings/quote.hpp"

namespace poold::settings {
namespace {

constexpr std::size_t program_path_size_max = 4095;
constexpr std::size_t content_type_size_max = 255;
constexpr int nice_min = -20, nice_max = 19;
constexpr std::chrono::seconds cpu_max = std::chrono::hours(24 * 3650);

// Each limit in the unit that people think of it in.
enum class Unit { number, size, seconds };
struct LimitName {
  std::string_view name;  // systemd's, without "Limit", in small letters
  int resource;
  Unit unit;
};
constexpr LimitName limit_names[] = {
    {"nofile", RLIMIT_NOFILE, Unit::number}, {"nproc", RLIMIT_NPROC, Unit::number},
    {"core", RLIMIT_CORE, Unit::size},       {"as", RLIMIT_AS, Unit::size},
    {"cpu", RLIMIT_CPU, Unit::seconds},      {"fsize", RLIMIT_FSIZE, Unit::size},
    {"memlock", RLIMIT_MEMLOCK, Unit::size},
};
// Below, a worker could not even hold its pipes and its log.
constexpr std::uint64_t nofile_min = 32;

std::optional<std::uint64_t> read_limit(const Place& place, const LimitName& limit) {
  const std::string or_else = " or infinity";
  switch (limit.unit) {
    case Unit::number: {
      const std::uint64_t min = limit.resource == RLIMIT_NOFILE ? nofile_min : 1;
      return place.number({min, 1'000'000'000}, or_else);
    }
    case Unit::size:
      // Nothing has no unit: `core: 0`.
      if (place.node().text == "0") return 0;
      return place.size({0, std::uint64_t{1} << 60}, or_else);
    case Unit::seconds: {
      const auto time = place.duration({std::chrono::seconds(1), cpu_max}, std::chrono::seconds(1), or_else);
      if (!time) return std::nullopt;
      return static_cast<std::uint64_t>(*time / std::chrono::seconds(1));
    }
  }
  return std::nullopt;
}

void read_limits(const Place& place, std::vector<ResourceLimit>& limits) {
  MapReader map(place);
  for (const LimitName& limit : limit_names) {
    const auto key = map.take(limit.name);
    if (!key) continue;
    if (key->node().kind == Node::Kind::text && key->node().text == "infinity")
      limits.push_back({limit.resource, std::string(limit.name), resource_unlimited});
    else if (const auto value = read_limit(*key, limit))
      limits.push_back({limit.resource, std::string(limit.name), *value});
  }
  map.finish();
}

bool may_switch(const Place& place, const Accounts& accounts) {
  if (accounts.own_uid == 0) return true;
  place.complain("only a poold of root can run workers as somebody else; this one runs as user " +
                 std::to_string(accounts.own_uid));
  return false;
}

void read_account(const std::optional<Place>& user, const std::optional<Place>& group,
                  const Accounts& accounts, std::optional<Account>& account) {
  if (user && may_switch(*user, accounts))
    if (const auto name = user->text("a user's name or number")) {
      account = accounts.find_user(*name);
      if (!account) user->complain("there is no user " + quoted(*name));
    }
  if (group && may_switch(*group, accounts))
    if (const auto name = group->text("a group's name or number")) {
      const auto gid = accounts.find_group(*name);
      if (!gid) return group->complain("there is no group " + quoted(*name));
      // Without a user it stays the daemon's own, in this group alone.
      if (!account) account = user ? std::nullopt : std::optional<Account>(Account{.uid = accounts.own_uid});
      if (!account) return;
      account->gid = *gid;
      if (account->name.empty()) account->groups = {*gid};
    }
}

void read_umask(const Place& place, std::optional<std::uint32_t>& umask) {
  const std::string& text = place.node().text;
  std::uint32_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  const bool good = place.node().kind == Node::Kind::text && (text.size() == 3 || text.size() == 4) &&
                    error == std::errc() && stop == text.data() + text.size() && value <= 0777;
  if (good)
    umask = value;
  else
    place.expect("three or four octal digits such as 0027, from 000 to 0777");
}

void read_nice(const Place& place, std::optional<int>& nice) {
  const std::string& text = place.node().text;
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool good = place.node().kind == Node::Kind::text && !text.empty() && error == std::errc() &&
                    stop == text.data() + text.size() && value >= nice_min && value <= nice_max;
  if (good)
    nice = value;
  else
    place.expect("a number from -20 (first) to 19 (last)");
}

// No "//", "." or ".." and no slash at the end: paths are compared as they are written.
bool plain_path(std::string_view path) {
  if (path.size() < 2 || path[0] != '/' || path.ends_with('/')) return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    if (part.empty() || part == "." || part == "..") return false;
    path.remove_prefix(part.size());
  }
  return true;
}

void read_allow(const Place& place, std::vector<std::string>& allow) {
  const auto items = place.list("a list of programs such as [/usr/bin/ffmpeg]");
  if (!items) return;
  if (items->empty()) place.complain("expected at least one program; leave the key out to allow any");
  for (const Place& item : *items) {
    const auto path = item.absolute_path(program_path_size_max);
    if (!path) continue;
    if (plain_path(*path))
      allow.push_back(*path);
    else
      item.complain("expected a plain path, without '//', '.', '..' or a slash at its end; got " +
                    quoted(*path));
  }
}

// A type and a subtype of printable characters, as MIME has them; no parameters.
bool content_type_valid(std::string_view text) {
  const std::size_t slash = text.find('/');
  return text.size() <= content_type_size_max && slash != text.npos && slash > 0 && slash + 1 < text.size() &&
         text.find('/', slash + 1) == text.npos && std::ranges::all_of(text, [](unsigned char c) {
           return c > 0x20 && c < 0x7f && c != ';' && c != ',';
         });
}

// One or a list; `pickle` stands for its long name.
void read_accept(const Place& place, std::optional<std::vector<std::string>>& accept) {
  const std::string expected = "pickle, or a content type such as application/octet-stream";
  std::vector<Place> items{place};
  if (place.node().kind == Node::Kind::list) {
    const auto listed = place.list("a list of content types");
    if (!listed) return;
    items = *listed;
  }
  accept.emplace();
  for (const Place& item : items) {
    const auto type = item.text(expected);
    if (!type) continue;
    if (*type == "pickle")
      accept->emplace_back(pickle_content_type);
    else if (content_type_valid(*type))
      accept->push_back(*type);
    else
      item.expect(expected);
  }
}

void read_shared_memory(const Place& place, Pool& pool) {
  constexpr std::string_view words[] = {"false", "true"};
  const auto word = place.word(words);
  if (!word || *word == 0) return;
  pool.shared_memory = true;
  if (pool.kind != PoolKind::function)
    place.complain("only pools that run functions have it; a command has no payload");
  else if (pool.protocol == WorkerProtocol::lines)
    place.complain("a program that speaks lines gets no descriptors (protocol: frames)");
  else if (pool.durability == Durability::disk)
    place.complain("what is in shared memory is not on the disk (durability: memory)");
}

}  // namespace

void read_process_settings(MapReader& map, const Accounts& accounts, Pool& pool) {
  const auto user = map.take("user"), group = map.take("group");
  read_account(user, group, accounts, pool.account);
  if (auto key = map.take("umask")) read_umask(*key, pool.umask);
  if (auto key = map.take("nice")) read_nice(*key, pool.nice);
  if (auto key = map.take("rlimits")) read_limits(*key, pool.limits);
  if (auto key = map.take("allow")) {
    if (pool.kind == PoolKind::command)
      read_allow(*key, pool.allow);
    else
      key->complain(
          "only pools that run commands have it; a function pool runs what its plug-in or program has");
  }
  if (auto key = map.take("accept")) {
    if (pool.kind == PoolKind::function)
      read_accept(*key, pool.accept);
    else
      key->complain("only pools that run functions have it; a command has no payload");
  }
  if (auto key = map.take("shared_memory")) read_shared_memory(*key, pool);
  if (auto key = map.take("output")) {
    constexpr std::string_view words[] = {"keep", "discard"};  // in the order of Output
    if (const auto word = key->word(words)) pool.output = static_cast<Output>(*word);
  }
}

}  // namespace poold::settings
