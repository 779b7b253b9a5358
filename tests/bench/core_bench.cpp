// What a decision costs: core_bench QUEUED [LIMITS CLIENTS [MEASURED]], tasks through a Core without anything
// around it. core_bench --flat: is a task among a million no dearer than one among a thousand? Ends with 1 if
// it is.
//
// QUEUED tasks wait all the while; each that ends is replaced by a new one. With LIMITS, task i takes a token
// of limit i modulo LIMITS; with CLIENTS, it belongs to client i modulo CLIENTS. Prints nanoseconds (of
// processor time) and, where the kernel counts them for us, instructions a task.
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "daemon/core/core.hpp"

namespace {

using namespace poold::core;

constexpr std::uint32_t workers = 8;
constexpr std::uint64_t measured_default = 1'000'000;

class Instructions {
 public:
  Instructions() {
    perf_event_attr attributes{};
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.size = sizeof attributes;
    attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
    attributes.exclude_kernel = 1;
    counter_ = static_cast<int>(::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
  }
  ~Instructions() {
    if (counter_ >= 0) ::close(counter_);
  }
  Instructions(const Instructions&) = delete;
  // 0 if nobody counts.
  std::uint64_t read() const {
    std::uint64_t value = 0;
    return counter_ >= 0 && ::read(counter_, &value, sizeof value) == sizeof value ? value : 0;
  }

 private:
  int counter_ = -1;
};

class Bench {
 public:
  Bench(std::uint64_t limits, std::uint64_t clients) : limits_(limits), clients_(clients) {
    PoolSettings pool;
    pool.name = "p";
    pool.workers = workers;
    pool.queue_size = 10'000'000;
    core_.handle(Configure{{pool}}, now_, step_);
    end_turn();
    for (std::uint32_t slot = 0; slot < workers; ++slot) {
      const WorkerRef worker{0, slot, 1};
      core_.handle(WorkerStarted{worker, 1000}, now_, step_);
      core_.handle(WorkerHello{worker}, now_, step_);
    }
    end_turn();
  }

  void submit() {
    Submit event;
    event.id = poold::make_task_id(1'700'000'000'000, 1, ++last_);
    event.uid = clients_ ? static_cast<std::uint32_t>(last_ % clients_) : 0;
    event.client = 1;
    event.spec = "a short specification";
    if (limits_) take_limit(event);
    core_.handle(std::move(event), now_, step_);
  }
  // Everything that runs ends, and as much is submitted.
  std::uint64_t turn() {
    now_ += std::chrono::microseconds(10);
    const std::size_t count = running_.size();
    ended_.swap(running_);
    for (const Dispatch& task : ended_) {
      core_.handle(WorkerResult{task.worker, task.task, 1, OutcomeKind::returned, 0, "body"}, now_, step_);
      submit();
    }
    ended_.clear();
    end_turn();
    return count;
  }
  void end_turn() {
    core_.schedule(now_, step_);
    for (const Promise& promise : step_.promises)
      if (const auto* dispatch = std::get_if<Dispatch>(&promise)) running_.push_back(*dispatch);
    step_.clear();
  }

 private:
  void take_limit(Submit& event) {
    event.options = std::make_unique<TaskOptions>();
    event.options->limits.push_back({"limit " + std::to_string(last_ % limits_)});
  }

  std::uint64_t limits_, clients_;
  Core core_;
  Step step_;
  Time now_ = Time{} + std::chrono::hours(1);
  Sequence last_ = 0;
  std::vector<Dispatch> running_, ended_;
};

// What a task costs, with so many queued across 1,000 limits and 100 clients, in slices that take turns with
// another's: a busy machine is equally busy for both.
class Sliced {
 public:
  explicit Sliced(std::uint64_t queued) : bench_(1000, 100) {
    for (std::uint64_t i = 0; i < queued; ++i) bench_.submit();
    bench_.end_turn();
    // Until everything that waits has been queued by what is measured, or enough of it.
    for (std::uint64_t done = 0; done < slice;) done += bench_.turn();
  }
  void measure(const Instructions& instructions) {
    const std::uint64_t before = instructions.read();
    const std::clock_t begin = std::clock();
    std::uint64_t done = 0;
    while (done < slice) done += bench_.turn();
    const auto tasks = static_cast<double>(done);
    times_.push_back(static_cast<double>(std::clock() - begin) * 1e9 / CLOCKS_PER_SEC / tasks);
    counts_.push_back(static_cast<double>(instructions.read() - before) / tasks);
  }
  double nanoseconds() { return median(times_); }
  double instructions() { return median(counts_); }

 private:
  static constexpr std::uint64_t slice = 40'000;
  static double median(std::vector<double>& values) {
    std::ranges::nth_element(values, values.begin() + std::ssize(values) / 2);
    return values[values.size() / 2];
  }

  Bench bench_;
  std::vector<double> times_, counts_;
};

// By instructions where the kernel counts them for us: they do not depend on who else is busy.
int flat() {
  constexpr int slices = 21;
  constexpr double bar = 1.3;
  Sliced few(1'000), many(1'000'000);
  const Instructions instructions;
  for (int i = 0; i < slices; ++i) {
    few.measure(instructions);
    many.measure(instructions);
  }
  const bool counted = few.instructions() > 0;
  const char* unit = counted ? "instructions" : "ns";
  const double low = counted ? few.instructions() : few.nanoseconds();
  const double high = counted ? many.instructions() : many.nanoseconds();
  std::printf("a task among 1,000: %.0f %s; among 1,000,000: %.0f (%.2f times, at most %.1f)\n", low, unit,
              high, high / low, bar);
  return high / low <= bar ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
  if (count == 2 && std::string(words[1]) == "--flat") return flat();
  if (count < 2) {
    std::fprintf(stderr, "usage: core_bench --flat | QUEUED [LIMITS CLIENTS [MEASURED]]\n");
    return 2;
  }
  const auto number = [&](int i) { return i < count ? std::strtoull(words[i], nullptr, 10) : 0; };
  const std::uint64_t measured = count > 4 ? number(4) : measured_default;
  Bench bench(number(2), number(3));
  for (std::uint64_t i = 0; i < number(1); ++i) bench.submit();
  bench.end_turn();
  for (std::uint64_t done = 0; done < measured / 10;) done += bench.turn();
  const Instructions instructions;
  const std::uint64_t before = instructions.read();
  const std::clock_t begin = std::clock();
  std::uint64_t done = 0;
  while (done < measured) done += bench.turn();
  const double ns =
      static_cast<double>(std::clock() - begin) * 1e9 / CLOCKS_PER_SEC / static_cast<double>(done);
  std::printf("%.0f ns a task", ns);
  if (const std::uint64_t used = instructions.read() - before)
    std::printf(", %.0f instructions", static_cast<double>(used) / static_cast<double>(done));
  std::printf("\n");
}
