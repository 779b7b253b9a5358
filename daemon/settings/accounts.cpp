#include "daemon/settings/accounts.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "daemon/settings/quantity.hpp"

namespace poold::settings {
namespace {

std::vector<std::uint32_t> groups_of(const passwd& entry) {
  int count = 64;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  while (::getgrouplist(entry.pw_name, entry.pw_gid, groups.data(), &count) < 0)
    groups.resize(static_cast<std::size_t>(count));
  groups.resize(static_cast<std::size_t>(count));
  return {groups.begin(), groups.end()};
}

std::optional<Account> find_user(const std::string& user) {
  const auto number = parse_id(user);
  const passwd* entry = number ? ::getpwuid(*number) : ::getpwnam(user.c_str());
  if (!entry) return std::nullopt;
  Account account;
  account.name = entry->pw_name;
  account.uid = entry->pw_uid;
  account.gid = entry->pw_gid;
  account.home = entry->pw_dir;
  account.shell = entry->pw_shell;
  account.groups = groups_of(*entry);
  return account;
}

std::optional<std::uint32_t> find_group(const std::string& group) {
  const auto number = parse_id(group);
  const ::group* entry = number ? ::getgrgid(*number) : ::getgrnam(group.c_str());
  if (!entry) return std::nullopt;
  return entry->gr_gid;
}

}  // namespace

std::optional<std::uint32_t> parse_id(const std::string& text) {
  const auto number = parse_number(text);
  // The highest id means "leave as it is" to the kernel.
  if (!number || *number >= UINT32_MAX) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

Accounts system_accounts() { return {::geteuid(), find_user, find_group}; }

}  // namespace poold::settings
