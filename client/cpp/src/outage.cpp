#include "client/cpp/src/outage.hpp"

#include <algorithm>

namespace poold {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A dead engine is replaced within milliseconds; a daemon that is away for seconds is not missed by a second.
constexpr milliseconds pause_min{5};
constexpr milliseconds pause_max{1'000};

}  // namespace

void Outage::begin() {
  since_ = steady_clock::now();
  pause_ = pause_min;
}

milliseconds Outage::duration() const {
  return std::chrono::floor<milliseconds>(steady_clock::now() - since_);
}

std::optional<milliseconds> Outage::next_pause() {
  const milliseconds gone = duration();
  if (gone >= limit_) return {};
  const milliseconds pause = std::min(pause_, limit_ - gone);
  pause_ = std::min(2 * pause_, pause_max);
  return pause;
}

}  // namespace poold
