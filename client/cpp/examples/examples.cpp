// The plug-in that comes with poold: functions for trials, tests and benchmarks, and a first thing to copy
// from.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

#include "poold/function.hpp"

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

milliseconds checked(std::int64_t count) {
  if (count < 0 || count > 86'400'000)
    throw std::invalid_argument("milliseconds must be from 0 to 86400000 (a day)");
  return milliseconds(count);
}

poold::Result echo(const poold::Arguments& arguments) {
  if (arguments.payload) {
    const auto& [data, content_type] = *arguments.payload;
    return poold::Bytes{std::string(data), std::string(content_type)};
  }
  if (arguments.positional.size() != 1 || !arguments.keyword.empty())
    throw std::invalid_argument("echo takes one argument, or bytes");
  return arguments.positional[0];
}

double add(const poold::Arguments& arguments) {
  double sum = 0;
  for (const poold::Value& value : arguments.positional) sum += value.as_number();
  for (const auto& [name, value] : arguments.keyword) sum += value.as_number();
  return sum;
}

void spin(std::chrono::microseconds time) {
  const auto until = steady_clock::now() + time;
  while (!poold::cancelled() && steady_clock::now() < until) {
  }
}

// Dies as from a wild pointer, whatever handlers are installed.
void crash() {
  std::signal(SIGSEGV, SIG_DFL);
  std::raise(SIGSEGV);
}

std::int64_t allocate(std::int64_t size) {
  if (size < 0) throw std::invalid_argument("bytes must not be negative");
  const std::string memory(static_cast<std::size_t>(size), 'x');  // touches every page
  return static_cast<std::int64_t>(memory.size());
}

}  // namespace

POOLD_FUNCTION("noop", [](const poold::Arguments&) {});
POOLD_FUNCTION("echo", echo);
POOLD_FUNCTION("add", add);
POOLD_FUNCTION("sleep_ms", [](std::int64_t count) { poold::sleep_unless_cancelled(checked(count)); });
POOLD_FUNCTION("spin_ms", [](std::int64_t count) { spin(checked(count)); });
POOLD_FUNCTION("spin_us", [](std::int64_t count) {
  checked(count / 1000);
  spin(std::chrono::microseconds(count));
});
POOLD_FUNCTION("crash", crash);
POOLD_FUNCTION("exit_now", [](std::optional<int> code) { ::_exit(code.value_or(0)); });
POOLD_FUNCTION("raise", [](const std::string& message) { throw std::runtime_error(message); });
POOLD_FUNCTION("allocate", allocate);
