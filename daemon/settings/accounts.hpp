// Who there is on this machine, and whether the daemon may become somebody else. Tests bring their own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "daemon/settings/settings.hpp"

namespace poold::settings {

struct Accounts {
  std::uint32_t own_uid = 0;  // only root, 0, may run processes as others
  // By name or number; nothing if there is none.
  std::function<std::optional<Account>(const std::string& user)> find_user;
  std::function<std::optional<std::uint32_t>(const std::string& group)> find_group;
};

// Numbers are ids; a name of digits alone would be ambiguous, and systems refuse such names. Nothing if the
// text is no number that could be an id.
std::optional<std::uint32_t> parse_id(const std::string& text);

// This machine's, by getpwnam(3) and getgrnam(3), and the process's effective user.
Accounts system_accounts();

}  // namespace poold::settings
