// What the streaming benchmarks send, and the proof that it was done: shared by stream_bench and paced_bench.
//
// Does not measure; see those two for how.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "client/cpp/poold/client.hpp"

namespace poold::bench {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// What to run, and what must come of it.
struct Work {
  TaskSpec task;
  Outcome expected;
};

// The names that make_work() knows, for a usage line.
inline constexpr std::string_view work_names = "noop|echo|short|mixed|python|disk|true";

// noop and echo call the functions of the example plug-in in pool `math`, echo with `size` bytes there and
// back; short takes 100 us of a processor, mixed is the same in pool `mixed`; python is noop in pool `py`,
// disk in pool `disk`;
// true runs /bin/true in pool `default`. Throws std::invalid_argument for another name.
Work make_work(const std::string& name, std::size_t size);

// The tasks of one client, tags from 0: each result must be of a task in flight, and right.
class Expected {
 public:
  Expected(const Work& work, std::size_t count) : work_(work), waiting_(count, false) {}
  void submitted(std::uint64_t tag) { waiting_.at(tag) = true; }
  // Throws std::runtime_error if nobody waits for it (any more), or if it is wrong.
  void ended(const StreamResult& result);

 private:
  const Work& work_;
  std::vector<bool> waiting_;
};

// Prints p50_us, p99_us and p999_us of these seconds, the last one only of 1,000 and more.
void print_percentiles(std::vector<double> seconds);

}  // namespace poold::bench
