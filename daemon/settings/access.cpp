// access: which users and groups have which role.
#include "daemon/settings/access.hpp"

#include <grp.h>
#include <pwd.h>

#include <charconv>
#include <optional>

namespace poold::settings {
namespace {

std::optional<std::uint32_t> number_of(const std::string& text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::uint32_t> user_of(const std::string& text) {
  if (const auto number = number_of(text)) return number;
  const passwd* user = ::getpwnam(text.c_str());
  return user ? std::optional<std::uint32_t>(user->pw_uid) : std::nullopt;
}

std::optional<std::uint32_t> group_of(const std::string& text) {
  if (const auto number = number_of(text)) return number;
  const group* found = ::getgrnam(text.c_str());
  return found ? std::optional<std::uint32_t>(found->gr_gid) : std::nullopt;
}

template <class Find>
void read_ids(MapReader& map, std::string_view key, const std::string& what, Find find,
              std::vector<std::uint32_t>& ids) {
  const auto place = map.take(key);
  if (!place) return;
  const auto items = place->list("a list of " + what + "s, by name or number");
  if (!items) return;
  for (const Place& item : *items) {
    const auto text = item.text("the name or number of a " + what);
    if (!text) continue;
    if (const auto id = find(*text))
      ids.push_back(*id);
    else
      item.complain("there is no " + what + " '" + *text + "' on this machine");
  }
}

void read_members(MapReader& access, std::string_view role, Members& members) {
  const auto place = access.take(role);
  if (!place) return;
  MapReader map(*place);
  read_ids(map, "users", "user", user_of, members.users);
  read_ids(map, "groups", "group", group_of, members.groups);
  map.finish();
}

}  // namespace

void read_access(const Place& place, Access& access) {
  MapReader map(place);
  read_members(map, "read", access.read);
  read_members(map, "submit", access.submit);
  read_members(map, "operate", access.operate);
  read_members(map, "admin", access.admin);
  map.finish();
}

}  // namespace poold::settings
