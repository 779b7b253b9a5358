#include "client/cpp/src/reconnect.hpp"

#include <poll.h>

#include <utility>

#include "client/cpp/poold/error.hpp"
#include "common/wire.hpp"
#include "poold/v1/task.pb.h"

namespace poold {

bool has_key(std::string_view task_spec) {
  for (wire::Reader fields(task_spec); fields.next();)
    if (fields.field == v1::TaskSpec::kKeyFieldNumber) return !fields.bytes.empty();
  return false;
}

void throw_stayed_away(const Outage& outage, const std::string& reason) {
  throw Unreachable(Code::unavailable, "the connection to the daemon broke and did not come back in " +
                                           std::to_string(outage.limit().count()) + " ms: " + reason);
}

void pause(Outage& outage, const std::string& reason) {
  const auto duration = outage.next_pause();
  if (!duration) throw_stayed_away(outage, reason);
  ::poll(nullptr, 0, static_cast<int>(duration->count()));
}

FrameStream connect_within(Outage& outage, const FrameStream::Options& options, std::string reason) {
  FrameStream::Options chosen = options;
  chosen.connect_timeout = Outage::try_timeout;
  for (;;) {
    pause(outage, reason);
    try {
      return FrameStream(chosen);
    } catch (const ConnectionLost& error) {
      reason = error.what();
    } catch (const Unreachable& error) {
      reason = error.what();
    }
  }
}

}  // namespace poold
