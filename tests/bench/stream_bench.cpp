// Many tasks through one streaming client: stream_bench noop|echo|short|mixed|true WINDOW COUNT [SIZE], with
// the socket in POOLD_SOCKET.
//
// Keeps WINDOW tasks in flight: noop and echo call the functions of the example plug-in in pool `math`, echo
// with SIZE bytes (100) there and back; short takes 100 us of a processor, and mixed is the same in pool
// `mixed`, behind a task of a minute; true runs /bin/true in pool `default`. Every result is looked at:
// right kind, right value, each tag once. Prints lines of a name and a number. tests/bench/run decides how
// often and beside what.
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

// What to run, and what must come of it.
struct Work {
  poold::TaskSpec task;
  poold::Outcome expected;
};

Work make_work(const std::string& what, std::size_t size) {
  poold::SubmitOptions options;
  poold::Outcome expected;
  expected.kind = poold::Outcome::Kind::returned;
  options.pool = "math";
  if (what == "mixed") options.pool = "mixed";
  if (what == "noop") return {{poold::Function{"noop", {}, {}, {}}, options}, expected};
  if (what == "short" || what == "mixed")
    return {{poold::Function{"spin_us", {100}, {}, {}}, options}, expected};
  if (what == "echo") {
    const poold::Payload payload{"application/octet-stream", std::string(size, 'x')};
    expected.payload = payload;
    return {{poold::Function{"echo", {}, {}, payload}, options}, expected};
  }
  options.pool = "default";
  expected.kind = poold::Outcome::Kind::exited;
  expected.exit_code = 0;
  return {{poold::Command{{"/bin/true"}, {}, {}, {}}, options}, expected};
}

void check(const poold::Outcome& outcome, const poold::Outcome& expected) {
  const bool right = outcome.kind == expected.kind && outcome.exit_code == expected.exit_code &&
                     outcome.payload == expected.payload && outcome.value.is_null();
  if (!right) throw std::runtime_error("a wrong result: " + poold::describe(outcome));
}

void measure(const Work& work, std::size_t window, std::size_t count, bool behind_a_long_one) {
  poold::StreamOptions stream_options;
  stream_options.cancel_on_close = true;
  poold::PolledStream stream(stream_options);
  Expected expected(count);
  std::vector<double> times;
  times.reserve(window == 1 ? count : 0);
  std::size_t sent = 0, received = 0;
  // More is sent when this many places are free: half of a small window, so that frames travel together;
  // little of a large one, so that as many tasks are queued all the time.
  const std::size_t batch = std::min<std::size_t>((window + 1) / 2, 512);
  if (behind_a_long_one) {
    poold::SubmitOptions options;
    options.pool = "mixed";
    stream.submit(count, {poold::Function{"sleep_ms", {60'000}, {}, {}}, options});
  }
  const auto begin = Clock::now();
  auto sent_at = begin;
  while (received < count) {
    if (sent - received + batch <= window) {
      sent_at = Clock::now();
      for (; sent < count && sent - received < window; ++sent) {
        expected.submitted(sent);
        stream.submit(sent, work.task);
      }
      stream.flush();
    }
    // Waits for the first, then takes what came with it.
    for (auto* result = stream.next_result(); result;
         result = stream.next_result(std::chrono::milliseconds(0))) {
      expected.ended(result->tag);
      check(result->get(), work.expected);
      ++received;
      if (sent - received + batch <= window) break;
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
  const bool complete = argc == 4 || argc == 5;
  const std::string what = complete ? argv[1] : "";
  const std::size_t window = complete ? std::strtoul(argv[2], nullptr, 10) : 0;
  const std::size_t count = complete ? std::strtoul(argv[3], nullptr, 10) : 0;
  const std::size_t size = argc == 5 ? std::strtoul(argv[4], nullptr, 10) : 100;
  const bool known = what == "noop" || what == "echo" || what == "short" || what == "mixed" || what == "true";
  if (window == 0 || count == 0 || !known) {
    std::fprintf(stderr, "usage: stream_bench noop|echo|short|mixed|true WINDOW COUNT [SIZE]\n");
    return 2;
  }
  measure(make_work(what, size), window, count, what == "mixed");
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "stream_bench: %s\n", error.what());
  return 1;
}
