#include "client/cli/reconnection.hpp"

#include "client/cli/context.hpp"
#include "client/cli/reading.hpp"

namespace poold::cli {
namespace {

using std::chrono::milliseconds;

// What is over sooner is nobody's concern.
constexpr milliseconds told_after{1'000};

}  // namespace

void Reconnection::lost() {
  outage_.begin();
  told_ = false;
}

std::optional<milliseconds> Reconnection::next_pause() {
  const auto pause = outage_.next_pause();
  if (pause && outage_.duration() >= told_after && !told_) {
    told_ = true;
    complain("the connection to the daemon broke; trying to connect again for " +
             exact_duration(outage_.limit()));
  }
  return pause;
}

std::string Reconnection::failure(const std::string& id, const std::string& reason) const {
  std::string text =
      "the connection to the daemon broke and did not come back in " + exact_duration(outage_.limit());
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
