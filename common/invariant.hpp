// The third kind of wrong: our own fault. invariant() ends the program, in release builds too, because a
// daemon whose tables disagree must not go on promising things. What peers send is never checked with this.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace poold {

inline void invariant(bool holds, const char* what,
                      // std::source_location is not in clang 14, which looks at our code in the lint step.
                      const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (holds) [[likely]]
    return;
  std::fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
  std::abort();
}

}  // namespace poold
