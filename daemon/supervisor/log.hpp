// The daemon's log: lines on stderr, or entries in the journal (daemon/journal).
#pragma once

#include <string_view>

namespace poold::supervisor {

void start_log();
// trace, debug, info, warning, error.
bool is_log_level(std::string_view level);
// `level` must be one of these.
void set_log_level(std::string_view level);

}  // namespace poold::supervisor
