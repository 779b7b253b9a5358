// access: which users and groups have which role.
#include "daemon/settings/access.hpp"

#include <optional>

namespace poold::settings {
namespace {

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

void read_members(MapReader& access, std::string_view role, const Accounts& accounts, Members& members) {
  const auto place = access.take(role);
  if (!place) return;
  MapReader map(*place);
  // A number may be nobody's yet.
  const auto user_of = [&](const std::string& text) {
    const auto number = parse_id(text);
    if (number) return number;
    const auto account = accounts.find_user(text);
    return account ? std::optional<std::uint32_t>(account->uid) : std::nullopt;
  };
  const auto group_of = [&](const std::string& text) {
    const auto number = parse_id(text);
    return number ? number : accounts.find_group(text);
  };
  read_ids(map, "users", "user", user_of, members.users);
  read_ids(map, "groups", "group", group_of, members.groups);
  map.finish();
}

}  // namespace

void read_access(const Place& place, const Accounts& accounts, Access& access) {
  MapReader map(place);
  read_members(map, "read", accounts, access.read);
  read_members(map, "submit", accounts, access.submit);
  read_members(map, "operate", accounts, access.operate);
  read_members(map, "admin", accounts, access.admin);
  map.finish();
}

}  // namespace poold::settings
