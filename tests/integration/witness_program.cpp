// The witness as a command: witness LOG TASK MICROSECONDS. Prints the answer; exits with TASK % 3.
#include <cstdlib>
#include <exception>

#include "tests/integration/witness.hpp"

int main(int argc, char** argv) try {
  if (argc != 4) return 100;
  const std::int64_t task = std::atoll(argv[2]);
  witness::Log log(argv[1], task);
  ::usleep(static_cast<useconds_t>(std::atoi(argv[3])));
  std::printf("%lld\n", static_cast<long long>(witness::answer(task)));
  std::fflush(stdout);
  log.end();
  return static_cast<int>(task % 3);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 101;
}
