// How long, and how often, a verb that follows tasks tries to reach a daemon that it has lost: the engine
// died and the supervisor starts another, or the daemon is restarted. Decides and tells; the verbs connect.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "client/cpp/src/outage.hpp"

namespace poold::cli {

class Reconnection {
 public:
  using milliseconds = std::chrono::milliseconds;
  static constexpr milliseconds try_timeout = Outage::try_timeout;

  static constexpr const char* limit_default = "30s";
  static constexpr const char* help =
      "How long the daemon may stay away once it is lost (30s; 0: not at all)";

  // `limit`: how long the daemon may stay away; 0: never try.
  explicit Reconnection(milliseconds limit) : outage_(limit) {}
  bool allowed() const { return outage_.allowed(); }

  // The connection broke: from now on the limit counts.
  void lost();
  // How long to pause before the next try; nothing if the time is up. Says on stderr, once, that it takes
  // long.
  std::optional<milliseconds> next_pause();

  // Messages. `id` may be empty.
  std::string failure(const std::string& id, const std::string& reason) const;
  static std::string forgotten(const std::string& id);

 private:
  Outage outage_;
  bool told_ = false;
};

}  // namespace poold::cli
