// The witness as a function, and functions that behave badly in ways the shipped examples do not.
#include "client/cpp/poold/function.hpp"
#include "tests/integration/witness.hpp"

POOLD_FUNCTION("witness", [](const std::string& path, std::int64_t task, std::int64_t microseconds) {
  witness::Log log(path, task);
  ::usleep(static_cast<useconds_t>(microseconds));
  log.end();
  return witness::answer(task);
});

// Never looks whether it was cancelled.
POOLD_FUNCTION("stubborn", [] {
  for (;;) ::pause();
});

POOLD_FUNCTION("large", [](std::int64_t size) { return std::string(static_cast<std::size_t>(size), 'x'); });
