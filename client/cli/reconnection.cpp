#include "client/cli/reconnection.hpp"

#include <algorithm>

#include "client/cli/context.hpp"
#include "client/cli/reading.hpp"

namespace poold::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A dead engine is replaced within milliseconds; a daemon that is away for seconds is not missed by a second.
constexpr milliseconds pause_min{5};
constexpr milliseconds pause_max{1'000};
// What is over sooner is nobody's concern.
constexpr milliseconds told_after{1'000};

}  // namespace

void Reconnection::lost() {
  since_ = steady_clock::now();
  pause_ = pause_min;
  told_ = false;
}

std::optional<milliseconds> Reconnection::next_pause() {
  const auto gone = std::chrono::floor<milliseconds>(steady_clock::now() - since_);
  if (gone >= limit_) return {};
  if (gone >= told_after && !told_) {
    told_ = true;
    complain("the connection to the daemon broke; trying to connect again for " + exact_duration(limit_));
  }
  const milliseconds pause = std::min(pause_, limit_ - gone);
  pause_ = std::min(2 * pause_, pause_max);
  return pause;
}

std::string Reconnection::failure(const std::string& id, const std::string& reason) const {
  std::string text = "the connection to the daemon broke and did not come back in " + exact_duration(limit_);
  if (!id.empty()) text.append("; what became of task ").append(id).append(" is not known");
  return text + ": " + reason;
}

std::string Reconnection::forgotten(const std::string& id) {
  return "task " + id +
         " is lost: the daemon was restarted and does not know it any more (a pool with durability: memory "
         "loses its "
         "tasks then)";
}

}  // namespace poold::cli
