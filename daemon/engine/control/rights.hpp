// Who may do what. Four roles, given to users and groups by the configuration:
//
//   submit   submit tasks, make queues, semaphores, processes, and pools of templates; see and change one's
//   own;
//            nothing else
//   read     see everything, change nothing
//   operate  read, submit, change anybody's tasks, and run pools: pause, scale, drain, recycle, limits
//   admin    everything: reload, stop and upgrade the daemon
//
// The daemon's own user and root are admin; the group of its socket may submit. Whoever has no role is
// refused, and so is whoever the kernel does not name. Identity is numbers (SO_PEERCRED, SO_PEERGROUPS),
// taken when the connection was accepted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/task.hpp"
#include "daemon/engine/control/peer.hpp"

namespace poold::engine {

struct Members {
  std::vector<std::uint32_t> users;
  std::vector<std::uint32_t> groups;
};

// What the configuration says, beside what is always so.
struct Access {
  Members read, submit, operate, admin;
  // The group of the socket; nothing where it means nothing (nobody but the owner may connect).
  std::optional<std::uint32_t> socket_group;
};

// What a call asks of its caller.
enum class Need : std::uint8_t {
  any_role,  // tells nothing about others
  see,       // a task: one's own, or anybody's with `read`
  change,    // a task: one's own with `submit`, or anybody's with `operate`
  submit,
  read,
  operate,
  admin,
};

class Rights {
 public:
  Rights(const Access& access, const Peer& peer);

  bool allow(Need need) const;
  bool may_see(const core::Task& task) const { return read_ || (submit_ && task.uid == uid_); }
  bool may_change(const core::Task& task) const { return operate_ || (submit_ && task.uid == uid_); }
  // Of what belongs to a user and is no task: a queue, a semaphore, a pool that somebody made.
  bool may_change_what_is_of(std::uint32_t uid) const { return operate_ || (submit_ && uid == uid_); }
  bool sees_everything() const { return read_; }
  bool changes_everything() const { return operate_; }
  std::uint32_t uid() const { return uid_; }

 private:
  std::uint32_t uid_;
  bool submit_, read_, operate_, admin_;
};

// What a method ("Tasks/Get") or an alias ("/v1/tasks") asks. One table, so that it can be read as one; what
// is not in it is for admins, so that something new is not open by oversight.
Need need_of(std::string_view method_or_alias);

// The role to ask for, in the words of the configuration.
std::string describe(Need need);

}  // namespace poold::engine
