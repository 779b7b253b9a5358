// What is left of a session after its leader died, and strangers: processes that became children of the
// supervisor because it is a subreaper. One look and one round of signals a call, no waiting; child.hpp
// repeats it until nothing is left.
#pragma once

#include <sys/types.h>

#include <unordered_set>

#include "common/seqpacket.hpp"

namespace poold::supervisor {

// The children that somebody here has started, watches, and will reap: by pid, from their start until they
// are reaped.
class OwnChildren {
 public:
  void add(pid_t pid);
  void remove(pid_t pid);
  bool has(pid_t pid) const { return pids_.contains(pid); }
  bool empty() const { return pids_.empty(); }

 private:
  std::unordered_set<pid_t> pids_;
};

// Sends SIGKILL to every living process of the session among the supervisor's descendants, those of `own` and
// theirs left out. Returns a pidfd of one of them, whose end is the time for the next look: killing may bring
// up others (children of the killed). Invalid: none is left.
//
// The session's leader must be an unreaped zombie, so that its number cannot be another's. All that a dead
// leader left is found here, since it came to the supervisor as the subreaper, or hangs below something that
// did.
FileDescriptor kill_session(pid_t session, const OwnChildren& own);

// Reaps the dead children that are nobody's here.
void reap_strangers(const OwnChildren& own);

}  // namespace poold::supervisor
