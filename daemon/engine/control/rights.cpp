#include "daemon/engine/control/rights.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace poold::engine {
namespace {

bool contains(const std::vector<std::uint32_t>& ids, std::uint32_t id) {
  return std::ranges::find(ids, id) != ids.end();
}

bool in_group(const Peer& peer, std::uint32_t group) {
  return peer.gid == group || contains(peer.groups, group);
}

bool is_member(const Members& members, const Peer& peer) {
  return contains(members.users, peer.uid) ||
         std::ranges::any_of(members.groups, [&](std::uint32_t group) { return in_group(peer, group); });
}

constexpr std::pair<std::string_view, Need> needs[] = {
    {"Tasks/Submit", Need::submit},
    {"Tasks/SubmitBatch", Need::submit},
    {"Tasks/Get", Need::see},
    {"Tasks/List", Need::see},
    {"Tasks/Wait", Need::see},
    {"Tasks/Logs", Need::see},
    {"Tasks/ListGroups", Need::see},
    {"Tasks/Explain", Need::see},
    {"Tasks/Cancel", Need::change},
    {"Tasks/Signal", Need::change},
    {"Tasks/Retry", Need::change},
    {"Tasks/Hold", Need::change},
    {"Tasks/Release", Need::change},
    {"Tasks/Prune", Need::change},
    {"Pools/List", Need::read},
    {"Pools/Get", Need::read},
    {"Pools/Scale", Need::operate},
    {"Pools/Pause", Need::operate},
    {"Pools/Resume", Need::operate},
    {"Pools/Drain", Need::operate},
    {"Pools/Recycle", Need::operate},
    {"Pools/Create", Need::submit},
    {"Pools/Delete", Need::change},
    {"Processes/Start", Need::submit},
    {"Processes/List", Need::see},
    {"Processes/Join", Need::see},
    {"Processes/Kill", Need::change},
    {"Workers/List", Need::read},
    {"Limits/List", Need::read},
    {"Limits/Set", Need::operate},
    {"Limits/Remove", Need::operate},
    {"Schedules/List", Need::read},
    {"Schedules/Add", Need::operate},
    {"Schedules/Remove", Need::operate},
    {"Schedules/Run", Need::operate},
    {"Queues/List", Need::see},
    {"Queues/Create", Need::submit},
    {"Queues/Delete", Need::change},
    {"Queues/Put", Need::change},
    {"Queues/Get", Need::change},
    {"Semaphores/List", Need::see},
    {"Semaphores/Create", Need::submit},
    {"Semaphores/Delete", Need::change},
    {"Semaphores/Acquire", Need::change},
    {"Semaphores/Release", Need::change},
    {"Daemon/GetInfo", Need::any_role},
    {"Daemon/Reload", Need::admin},
    {"Daemon/Upgrade", Need::admin},
    {"Daemon/Stop", Need::admin},
    {"/healthz", Need::any_role},
    {"/v1/info", Need::any_role},
    {"/v1/tasks", Need::see},
    {"/v1/tasks/", Need::see},
    {"/v1/pools", Need::read},
    {"/v1/workers", Need::read},
    {"/v1/events", Need::read},
    {"/v1/stream", Need::see},
    {"/metrics", Need::read},
};

}  // namespace

Rights::Rights(const Access& access, const Peer& peer) : uid_(peer.uid) {
  admin_ = peer.uid == 0 || peer.uid == ::geteuid() || is_member(access.admin, peer);
  operate_ = admin_ || is_member(access.operate, peer);
  read_ = operate_ || is_member(access.read, peer);
  submit_ = operate_ || is_member(access.submit, peer) ||
            (access.socket_group && in_group(peer, *access.socket_group));
}

bool Rights::allow(Need need) const {
  switch (need) {
    case Need::any_role:
    case Need::see:
      return read_ || submit_;
    case Need::change:
    case Need::submit:
      return submit_;
    case Need::read:
      return read_;
    case Need::operate:
      return operate_;
    case Need::admin:
      return admin_;
  }
  std::abort();
}

Need need_of(std::string_view method_or_alias) {
  for (const auto& [name, need] : needs)
    if (name == method_or_alias) return need;
  return Need::admin;
}

std::string describe(Need need) {
  switch (need) {
    case Need::any_role:
      return "a role";
    case Need::see:
      return "role read or submit";
    case Need::change:
    case Need::submit:
      return "role submit";
    case Need::read:
      return "role read";
    case Need::operate:
      return "role operate";
    case Need::admin:
      return "role admin";
  }
  std::abort();
}

}  // namespace poold::engine
