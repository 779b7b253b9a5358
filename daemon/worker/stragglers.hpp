// Process groups whose first process has ended while others of the group go on: they were asked to end, and
// are killed when their time is up.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <vector>

namespace poold::worker {

using Clock = std::chrono::steady_clock;

// SIGTERM, and SIGCONT so that stopped processes get it.
void ask_group_to_end(pid_t group);

class Stragglers {
 public:
  // The group's first process has been reaped. If it has other members, asks them to end and remembers the
  // group.
  void look_at(pid_t group, Clock::time_point kill_at);
  // Somebody has been reaped: forgets the groups that are empty now.
  void look_again();
  // Kills the groups whose time is up.
  void kill_due(Clock::time_point now);
  void kill_all() { kill_due(Clock::time_point::max()); }

  bool empty() const { return groups_.empty(); }
  std::optional<Clock::time_point> next_kill() const;

 private:
  struct Group {
    pid_t id;
    Clock::time_point kill_at;
  };
  std::vector<Group> groups_;
};

}  // namespace poold::worker
