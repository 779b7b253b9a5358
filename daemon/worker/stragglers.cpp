#include "daemon/worker/stragglers.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace poold::worker {
namespace {

// A group of ours has lost its leader, which we reaped. If a process has its number again, so may a
// stranger's group: hands off.
bool has_members(pid_t group) {
  const bool number_reused = ::kill(group, 0) == 0 || errno == EPERM;
  return !number_reused && ::kill(-group, 0) == 0;
}

}  // namespace

void ask_group_to_end(pid_t group) {
  ::kill(-group, SIGTERM);
  ::kill(-group, SIGCONT);
}

void Stragglers::look_at(pid_t group, Clock::time_point kill_at) {
  if (!has_members(group)) return;
  ask_group_to_end(group);
  groups_.push_back({group, kill_at});
}

void Stragglers::look_again() {
  std::erase_if(groups_, [](const Group& group) { return !has_members(group.id); });
}

void Stragglers::kill_due(Clock::time_point now) {
  std::erase_if(groups_, [&](const Group& group) {
    if (group.kill_at > now) return false;
    if (has_members(group.id)) ::kill(-group.id, SIGKILL);
    return true;
  });
}

std::optional<Clock::time_point> Stragglers::next_kill() const {
  if (groups_.empty()) return std::nullopt;
  return std::ranges::min(groups_, {}, &Group::kill_at).kill_at;
}

}  // namespace poold::worker
