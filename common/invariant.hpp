// The third kind of wrong: our own fault. invariant() ends the program, in release builds too, because a
// daemon whose tables disagree must not go on promising things. What peers send is never checked with this.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <source_location>

namespace poold {

inline void invariant(bool holds, const char* what,
                      std::source_location where = std::source_location::current()) {
  if (holds) [[likely]]
    return;
  std::fprintf(stderr, "%s:%u: invariant broken: %s\n", where.file_name(), where.line(), what);
  std::abort();
}

}  // namespace poold
