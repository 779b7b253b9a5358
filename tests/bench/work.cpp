// The work of the streaming benchmarks, see work.hpp.
#include "tests/bench/work.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace poold::bench {

Work make_work(const std::string& name, std::size_t size) {
  SubmitOptions options;
  Outcome expected;
  expected.kind = Outcome::Kind::returned;
  options.pool = name == "mixed" || name == "disk" ? name : name == "python" ? "py" : "math";
  if (name == "noop" || name == "python" || name == "disk")
    return {{Function{"noop", {}, {}, {}}, options}, expected};
  if (name == "short" || name == "mixed") return {{Function{"spin_us", {100}, {}, {}}, options}, expected};
  if (name == "echo") {
    const Payload payload{"application/octet-stream", std::string(size, 'x')};
    expected.payload = payload;
    return {{Function{"echo", {}, {}, payload}, options}, expected};
  }
  if (name != "true") throw std::invalid_argument("no such work: " + name);
  options.pool = "default";
  expected.kind = Outcome::Kind::exited;
  expected.exit_code = 0;
  return {{Command{{"/bin/true"}, {}, {}, {}}, options}, expected};
}

void Expected::ended(const StreamResult& result) {
  if (result.tag >= waiting_.size() || !waiting_[result.tag])
    throw std::runtime_error("a result that nobody waits for, with tag " + std::to_string(result.tag));
  waiting_[result.tag] = false;
  const Outcome& outcome = result.get();
  const Outcome& expected = work_.expected;
  const bool right = outcome.kind == expected.kind && outcome.exit_code == expected.exit_code &&
                     outcome.payload == expected.payload && outcome.value.is_null();
  if (!right)
    throw std::runtime_error("a wrong result, with tag " + std::to_string(result.tag) + ": " +
                             describe(outcome));
}

void print_percentiles(std::vector<double> seconds) {
  if (seconds.empty()) return;
  std::sort(seconds.begin(), seconds.end());
  const auto print = [&](const char* name, std::size_t thousandths) {
    std::printf("%s %.2f\n", name, seconds[seconds.size() * thousandths / 1000] * 1e6);
  };
  print("p50_us", 500);
  print("p99_us", 990);
  if (seconds.size() >= 1000) print("p999_us", 999);
}

}  // namespace poold::bench
