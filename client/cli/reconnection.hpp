// How long, and how often, a verb that follows tasks tries to reach a daemon that it has lost: the engine
// died and the supervisor starts another, or the daemon is restarted. Decides and tells; the verbs connect.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace poold::cli {

class Reconnection {
 public:
  using milliseconds = std::chrono::milliseconds;
  // How long one try may take: an engine that still reads its store lets connections wait.
  static constexpr milliseconds try_timeout{5'000};

  static constexpr const char* limit_default = "30s";
  static constexpr const char* help =
      "How long the daemon may stay away once it is lost (30s; 0: not at all)";

  // `limit`: how long the daemon may stay away; 0: never try.
  explicit Reconnection(milliseconds limit) : limit_(limit) {}
  bool allowed() const { return limit_.count() > 0; }

  // The connection broke: from now on the limit counts.
  void lost();
  // How long to pause before the next try; nothing if the time is up. Says on stderr, once, that it takes
  // long.
  std::optional<milliseconds> next_pause();

  // Messages. `id` may be empty.
  std::string failure(const std::string& id, const std::string& reason) const;
  static std::string forgotten(const std::string& id);

 private:
  using Instant = std::chrono::steady_clock::time_point;
  milliseconds limit_;
  Instant since_{};
  milliseconds pause_{0};
  bool told_ = false;
};

}  // namespace poold::cli
