// Groups, and tasks that wait for the end of one: the bystander keeps lists of names where the core counts.
//
// What ended in this turn is news to the bystander only at the turn's end, so that it asks who still lives.
#include <algorithm>

#include "tests/sim/simulation.hpp"

namespace poold::sim {

void Simulation::choose_groups(TaskOptions& options, Wishes& wishes) {
  const auto name = [&] { return "g" + std::to_string(random_.below(2)); };
  if (random_.chance(30)) options.group = name();
  if (random_.chance(12)) options.after_group = name();
  if (options.group == options.after_group) options.after_group.clear();
  wishes.group = options.group;
  wishes.after_group = options.after_group;
}

bool Simulation::has_unfinished(const GroupView& group) {
  return std::ranges::any_of(group.members, [&](Sequence member) { return lives(member); });
}

// Would the core take a task with such wishes?
bool Simulation::groups_take(std::uint32_t uid, const Wishes& wishes) {
  if (!wishes.after_group.empty() && !groups_.contains({uid, wishes.after_group})) return false;
  const auto own = groups_.find({uid, wishes.group});
  if (wishes.group.empty() || own == groups_.end() || !has_unfinished(own->second)) return true;
  return std::ranges::none_of(own->second.waiting, [&](Sequence task) { return lives(task); });
}

void Simulation::join_groups(Sequence number, Known& task, bool waits) {
  if (!task.wishes) return;
  Wishes& wishes = *task.wishes;
  if (!wishes.after_group.empty() && waits) {
    wishes.waits_for_group = true;
    groups_[{task.uid, wishes.after_group}].waiting.insert(number);
  }
  if (wishes.group.empty()) return;
  GroupView& group = groups_[{task.uid, wishes.group}];
  group.members.insert(number);
}

void Simulation::release_if_over(std::uint32_t uid, const std::string& name) {
  const auto group = groups_.find({uid, name});
  if (group == groups_.end() || has_unfinished(group->second)) return;
  for (const Sequence task : std::exchange(group->second.waiting, {}))
    tasks_[task].wishes->waits_for_group = false;
}

void Simulation::leave_groups(Sequence number, Known& task) {
  if (!task.wishes) return;
  if (!task.wishes->after_group.empty()) groups_[{task.uid, task.wishes->after_group}].waiting.erase(number);
  if (task.wishes->group.empty()) return;
  GroupView& group = groups_[{task.uid, task.wishes->group}];
  group.members.erase(number);
  if (!group.members.empty()) return;
  for (const Sequence waiting : std::exchange(group.waiting, {}))
    tasks_[waiting].wishes->waits_for_group = false;
}

}  // namespace poold::sim
