// Many small tasks through one streaming client: stream_bench noop|true WINDOW COUNT, with the socket in
// POOLD_SOCKET.
//
// Keeps WINDOW tasks in flight: noop calls the function of the example plug-in in pool `math`, true runs
// /bin/true in pool `default`. Every result is looked at: right kind, right value, each tag once. Prints
// lines of a name and a number. tests/bench/run decides how often and beside what.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/cpp/poold/client.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Tags of tasks in flight, so that a result nobody waits for, or a second one, shows.
class Expected {
 public:
  explicit Expected(std::size_t count) : waiting_(count, false) {}
  void submitted(std::uint64_t tag) { waiting_.at(tag) = true; }
  void ended(std::uint64_t tag) {
    if (tag >= waiting_.size() || !waiting_[tag]) throw std::runtime_error("a result that nobody waits for");
    waiting_[tag] = false;
  }

 private:
  std::vector<bool> waiting_;
};

void check(const poold::Outcome& outcome, bool function) {
  const bool right =
      function ? outcome.kind == poold::Outcome::Kind::returned && outcome.value.is_null() && !outcome.payload
               : outcome.kind == poold::Outcome::Kind::exited && outcome.exit_code == 0;
  if (!right) throw std::runtime_error("a wrong result: " + poold::describe(outcome));
}

void measure(const poold::TaskSpec& task, bool function, std::size_t window, std::size_t count) {
  poold::PolledStream stream;
  Expected expected(count);
  std::vector<double> times;
  times.reserve(window == 1 ? count : 0);
  std::size_t sent = 0, received = 0;
  const auto begin = Clock::now();
  auto sent_at = begin;
  while (received < count) {
    if (sent - received <= window / 2) {
      sent_at = Clock::now();
      for (; sent < count && sent - received < window; ++sent) {
        expected.submitted(sent);
        stream.submit(sent, task);
      }
      stream.flush();
    }
    // Waits for the first, then takes what came with it.
    for (auto* result = stream.next_result(); result;
         result = stream.next_result(std::chrono::milliseconds(0))) {
      expected.ended(result->tag);
      check(result->get(), function);
      ++received;
      if (sent - received <= window / 2) break;
    }
    if (window == 1) times.push_back(seconds_since(sent_at));
  }
  std::printf("tasks_per_s %.0f\n", static_cast<double>(count) / seconds_since(begin));
  if (times.empty()) return;
  std::sort(times.begin(), times.end());
  std::printf("p50_us %.2f\np99_us %.2f\n", times[times.size() / 2] * 1e6,
              times[times.size() * 99 / 100] * 1e6);
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string what = argc == 4 ? argv[1] : "";
  const std::size_t window = argc == 4 ? std::strtoul(argv[2], nullptr, 10) : 0;
  const std::size_t count = argc == 4 ? std::strtoul(argv[3], nullptr, 10) : 0;
  if (window == 0 || count == 0 || (what != "noop" && what != "true")) {
    std::fprintf(stderr, "usage: stream_bench noop|true WINDOW COUNT\n");
    return 2;
  }
  poold::SubmitOptions options;
  if (what == "noop") {
    options.pool = "math";
    measure({poold::Function{"noop", {}, {}, {}}, options}, true, window, count);
  } else {
    options.pool = "default";
    measure({poold::Command{{"/bin/true"}, {}, {}, {}}, options}, false, window, count);
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "stream_bench: %s\n", error.what());
  return 1;
}
