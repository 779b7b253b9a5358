// The part of the configuration about roles; what they allow is in engine/control/rights.hpp.
#pragma once

#include "daemon/settings/accounts.hpp"
#include "daemon/settings/place.hpp"

namespace poold::settings {

void read_access(const Place& place, const Accounts& accounts, Access& access);

}  // namespace poold::settings
