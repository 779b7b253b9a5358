// The environment of the engine and of workers, built from an allow-list: what the supervisor happened to
// inherit (tokens, debug switches, an activation's variables) goes no further.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/settings/settings.hpp"

namespace poold::supervisor {

// "NAME=value" each, no name twice.
using Environment = std::vector<std::string>;

// Of the supervisor's own: PATH HOME USER LOGNAME SHELL LANG LC_* TZ TMPDIR, and JOURNAL_STREAM, by which the
// engine knows that its stderr is the journal.
Environment engine_environment(const char* const* inherited);

// As above but JOURNAL_STREAM, and XDG_RUNTIME_DIR, POOLD_POOL, POOLD_WORKER ("pool/slot/generation"), for a
// pool with a `user` that user's USER, LOGNAME, HOME and SHELL, and the pool's own `env`, which wins over all
// but POOLD_WORKER and POOLD_POOL: those two say who the worker is.
Environment worker_environment(const char* const* inherited, const settings::Pool& pool, std::uint32_t slot,
                               std::uint32_t generation);

// The value of a variable; empty if it is not there.
std::string_view value_of(const Environment& environment, std::string_view name);

}  // namespace poold::supervisor
