// poold-sim: runs simulations. See usage() for the options; `./dev sim` passes its own on.
#include <atomic>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>

#include "tests/sim/durable.hpp"
#include "tests/sim/simulation.hpp"

namespace poold::sim {
namespace {

struct Options {
  std::uint64_t from = 0;
  std::uint64_t runs = 500;
  std::uint32_t steps = steps_default;
  std::uint32_t jobs = 1;
  bool single = false;
  bool twice = false;
  bool words = false;
};

int usage(const std::string& complaint) {
  std::fprintf(stderr,
               "%s\nusage: poold-sim [--runs N] [--from SEED] [--seeds A..B] [--jobs N] [--steps N]\n"
               "       poold-sim --seed N [--steps N] [--words] [--twice]\n"
               "  --runs N      so many seeds (500), fresh ones unless --from says where to begin\n"
               "  --seeds A..B  these seeds, both included\n"
               "  --steps N     turns with faults before those without (%u)\n"
               "  --jobs N      so many at a time (1)\n"
               "  --seed N      one run; the last line is its trace's hash\n"
               "  --words       everything that happened in it, in words\n"
               "  --twice       run it twice and compare\n",
               complaint.c_str(), steps_default);
  return 2;
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

bool read_range(std::string_view text, Options& options) {
  const std::size_t dots = text.find("..");
  std::uint64_t last = 0;
  if (dots == text.npos || !read_number(text.substr(0, dots), options.from) ||
      !read_number(text.substr(dots + 2), last) || last < options.from)
    return false;
  options.runs = last - options.from + 1;
  return true;
}

// Empty, or what is wrong.
std::string read_options(int count, char** words, Options& options) {
  bool begun = false;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const std::string_view value = i + 1 < count ? words[i + 1] : "";
    if (word == "--twice" || word == "--words") {
      (word == "--twice" ? options.twice : options.words) = true;
      continue;
    }
    bool right = false;
    if (word == "--seed")
      right = options.single = begun = read_number(value, options.from);
    else if (word == "--from")
      right = begun = read_number(value, options.from);
    else if (word == "--runs")
      right = read_number(value, options.runs) && options.runs > 0;
    else if (word == "--seeds")
      right = begun = read_range(value, options);
    else if (word == "--steps")
      right = read_number(value, options.steps);
    else if (word == "--jobs")
      right = read_number(value, options.jobs) && options.jobs > 0;
    else
      return "there is no option '" + word + "'";
    if (!right) return word + ": '" + std::string(value) + "' is not what it takes";
    ++i;
  }
  if (!begun) options.from = std::random_device()();
  return {};
}

template <class World>
void report_failure(std::uint64_t seed, std::uint32_t steps, const World& first) {
  // Once more in words, and no further than it takes to fail.
  const std::uint32_t enough = std::min(steps, first.step() + 1);
  std::optional<World> again(std::in_place, seed, true);
  again->run(enough);
  const bool shorter = again->failed();
  if (!shorter) {
    again.emplace(seed, true);
    again->run(steps);
  }
  const auto& lines = again->trace().lines();
  constexpr std::size_t shown_max = 80;
  std::printf("seed %llu failed: %s\njust before:\n", static_cast<unsigned long long>(seed),
              again->complaint().c_str());
  for (std::size_t i = lines.size() > shown_max ? lines.size() - shown_max : 0; i < lines.size(); ++i)
    std::printf("  %s\n", lines[i].c_str());
  std::printf("again: ./dev sim --seed %llu --steps %u --words\n", static_cast<unsigned long long>(seed),
              shorter ? enough : steps);
}

int run_one(const Options& options) {
  Simulation simulation(options.from, options.words);
  simulation.run(options.steps);
  for (const std::string& line : simulation.trace().lines()) std::printf("%s\n", line.c_str());
  if (simulation.failed()) {
    report_failure(options.from, options.steps, simulation);
    return 1;
  }
  DurableWorld durable(options.from, options.words);
  durable.run(options.steps);
  for (const std::string& line : durable.trace().lines()) std::printf("%s\n", line.c_str());
  if (durable.failed()) {
    report_failure(options.from, options.steps, durable);
    return 1;
  }
  if (options.twice) {
    Simulation second(options.from, !options.words);
    second.run(options.steps);
    DurableWorld second_durable(options.from, !options.words);
    second_durable.run(options.steps);
    if (second.trace().hash() != simulation.trace().hash() ||
        second_durable.trace().hash() != durable.trace().hash()) {
      std::printf("seed %llu is not always the same run\n", static_cast<unsigned long long>(options.from));
      return 1;
    }
  }
  std::printf("%zu tasks, %llu events\n", simulation.submitted() + durable.submitted(),
              static_cast<unsigned long long>(simulation.events() + durable.events()));
  std::printf("trace %016llx\n",
              static_cast<unsigned long long>(simulation.trace().hash() ^ durable.trace().hash()));
  return 0;
}

// What all runs together met.
struct Sum {
  std::mutex mutex;
  FaultCounts faults;
  std::uint64_t events = 0, tasks = 0, runs = 0;
  bool failed = false;
};

void run_some(const Options& options, std::atomic<std::uint64_t>& next, Sum& sum) {
  for (;;) {
    const std::uint64_t number = next++;
    if (number >= options.runs) return;
    const std::uint64_t seed = options.from + number;
    Simulation simulation(seed, false);
    simulation.run(options.steps);
    DurableWorld durable(seed, false);
    durable.run(options.steps);
    const std::lock_guard lock(sum.mutex);
    sum.faults.add(simulation.faults());
    sum.faults.add(durable.faults());
    sum.events += simulation.events() + durable.events();
    sum.tasks += simulation.submitted() + durable.submitted();
    ++sum.runs;
    if ((!simulation.failed() && !durable.failed()) || sum.failed) continue;
    sum.failed = true;
    next = options.runs;
    if (simulation.failed())
      report_failure(seed, options.steps, simulation);
    else
      report_failure(seed, options.steps, durable);
  }
}

int run_many(const Options& options) {
  Sum sum;
  std::atomic<std::uint64_t> next = 0;
  const std::clock_t begin = std::clock();  // processor time: others may be busy beside us
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t i = 0; i < options.jobs; ++i)
      threads.emplace_back([&] { run_some(options, next, sum); });
  }
  const double time = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  if (sum.failed) return 1;
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  int result = 0;
  for (std::size_t i = 0; i < fault_count; ++i) {
    const auto fault = static_cast<Fault>(i);
    std::printf("%12llu  %s\n", number(sum.faults.of(fault)), std::string(name(fault)).c_str());
    // A run of this size that never met a fault has not looked for it.
    if (options.runs >= 100'000 && sum.faults.of(fault) < 1000) {
      std::printf("              too rare: at least 1000\n");
      result = 1;
    }
  }
  std::printf("seeds %llu..%llu: %llu tasks, %llu events, %.0f events per second of processor time\n",
              number(options.from), number(options.from + options.runs - 1), number(sum.tasks),
              number(sum.events), static_cast<double>(sum.events) / time);
  return result;
}

}  // namespace
}  // namespace poold::sim

int main(int count, char** words) {
  poold::sim::Options options;
  if (const std::string complaint = poold::sim::read_options(count, words, options); !complaint.empty())
    return poold::sim::usage(complaint);
  return options.single ? poold::sim::run_one(options) : poold::sim::run_many(options);
}
