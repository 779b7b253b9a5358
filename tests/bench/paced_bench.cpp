// Latency at a given rate: paced_bench RATE COUNT, with the socket in POOLD_SOCKET.
//
// Sends no-ops at times fixed beforehand, whether or not earlier ones have come back, and counts each task's
// latency from the time at which it should have been sent: what waits behind a slow one is not left out
// (coordinated omission). Tasks leave in bursts, one each 100 us, as from many clients that nobody
// co-ordinates; at low rates one at a time. Every result is looked at. Prints lines of a name and a number.
#include <poll.h>
#include <sys/prctl.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <stdexcept>

#include "tests/bench/work.hpp"

namespace {

using namespace poold::bench;

constexpr std::chrono::nanoseconds between_bursts = std::chrono::microseconds(100);

class Schedule {
 public:
  explicit Schedule(double rate)
      : per_burst_(rate * std::chrono::duration<double>(between_bursts).count()), begin_(Clock::now()) {}
  Clock::time_point begin() const { return begin_; }
  Clock::time_point of(std::size_t task) const {
    return begin_ + static_cast<std::int64_t>(static_cast<double>(task) / per_burst_) * between_bursts;
  }

 private:
  double per_burst_;
  Clock::time_point begin_;
};

// Until there is something to read or it is time.
void wait(int descriptor, Clock::time_point until) {
  const auto left = until - Clock::now();
  if (left.count() <= 0) return;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const std::chrono::nanoseconds rest = left - seconds;
  const timespec timeout{seconds.count(), rest.count()};
  pollfd watched{descriptor, POLLIN, 0};
  ::ppoll(&watched, 1, &timeout, nullptr);
}

void measure(const Work& work, double rate, std::size_t count) {
  poold::PolledStream stream;
  Expected expected(work, count);
  std::vector<double> times;
  times.reserve(count);
  std::size_t sent = 0;
  const Schedule schedule(rate);
  while (times.size() < count) {
    const std::size_t before = sent;
    for (const auto now = Clock::now(); sent < count && schedule.of(sent) <= now; ++sent) {
      expected.submitted(sent);
      stream.submit(sent, work.task);
    }
    if (sent > before) stream.flush();
    while (const auto* result = stream.next_result(std::chrono::milliseconds(0))) {
      expected.ended(*result);
      times.push_back(seconds_since(schedule.of(result->tag)));
      if (sent < count && schedule.of(sent) <= Clock::now()) break;
    }
    if (times.size() < count)
      wait(stream.descriptor(), sent < count ? schedule.of(sent) : Clock::now() + std::chrono::seconds(60));
  }
  std::printf("tasks_per_s %.0f\n", static_cast<double>(count) / seconds_since(schedule.begin()));
  print_percentiles(std::move(times));
}

}  // namespace

int main(int argc, char** argv) try {
  const double rate = argc == 3 ? std::strtod(argv[1], nullptr) : 0;
  const std::size_t count = argc == 3 ? std::strtoul(argv[2], nullptr, 10) : 0;
  if (!(rate > 0) || count == 0) {
    std::fprintf(stderr, "usage: paced_bench RATE COUNT (tasks/s, tasks)\n");
    return 2;
  }
  // Otherwise the kernel may wake it 50 us late.
  ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  measure(make_work("noop", 0), rate, count);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "paced_bench: %s\n", error.what());
  return 1;
}
