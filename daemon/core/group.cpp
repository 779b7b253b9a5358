// Groups: who belongs to one, and what happens when its last task has ended.
#include "daemon/core/group.hpp"

#include <algorithm>
#include <utility>

#include "common/invariant.hpp"
#include "daemon/core/handlers.hpp"

namespace poold::core {
namespace {

std::uint32_t& count_of(Group& group, TaskState state) {
  return group.counts[static_cast<std::size_t>(state)];
}

Group* find_group(State& state, std::uint32_t uid, const std::string& name) {
  const auto at = state.groups.find({uid, name});
  return at == state.groups.end() ? nullptr : at->second.get();
}

Group& need_group(State& state, std::uint32_t uid, const std::string& name) {
  auto& place = state.groups[{uid, name}];
  if (!place) place = std::make_unique<Group>(Group{{uid, name}, {}, {}});
  return *place;
}

void forget_group_if_empty(State& state, Group& group) {
  if (group.known() > 0 || group.closed()) return;
  const GroupKey key = group.key;  // the table's own goes with it
  state.groups.erase(key);
}

}  // namespace

void move_in_group(Group& group, TaskState before, TaskState after) {
  invariant(count_of(group, before) > 0, "a group has counted its tasks");
  --count_of(group, before);
  ++count_of(group, after);
}

std::optional<Refusal> refusal_by_group(const State& state, const TaskOptions& options, std::uint32_t uid) {
  if (!options.group.empty()) {
    const auto group = state.groups.find({uid, options.group});
    if (group != state.groups.end() && group->second->closed()) return Refusal::group_closed;
  }
  if (!options.after_group.empty() && !state.groups.contains({uid, options.after_group}))
    return Refusal::group_unknown;
  return std::nullopt;
}

void join_groups(State& state, Task& task) {
  TaskOptions& options = *task.options;
  if (!options.group.empty()) {
    options.in_group = &need_group(state, task.uid, options.group);
    ++count_of(*options.in_group, task.state);
  }
  if (options.after_group.empty()) return;
  Group* group = find_group(state, task.uid, options.after_group);
  if (!group || group->unfinished() == 0) return options.after_group.clear();
  group->completions.push_back(task.sequence());
}

void leave_awaited_group(State& state, Task& task) {
  TaskOptions& options = *task.options;
  if (options.after_group.empty()) return;
  Group* group = find_group(state, task.uid, options.after_group);
  invariant(group != nullptr, "a group that is waited for is there");
  std::erase(group->completions, task.sequence());
  options.after_group.clear();
  forget_group_if_empty(state, *group);
}

void leave_group(State& state, const Task& task, TaskState final_state) {
  Group* group = task.options->in_group;
  if (!group) return;
  move_in_group(*group, task.state, final_state);
  if (!group->closed() || group->unfinished() > 0) return;
  state.ended_groups.push_back(group->key);
  // Nobody's parent, so that the one look after each event finds both.
  state.ended_parents.emplace_back(0, false);
}

void settle_ended_groups(State& state, Time now, Step& step) {
  while (!state.ended_groups.empty()) {
    const GroupKey key = std::move(state.ended_groups.back());
    state.ended_groups.pop_back();
    Group* group = find_group(state, key.first, key.second);
    if (!group || group->unfinished() > 0) continue;
    for (const Sequence number : std::exchange(group->completions, {})) {
      Task* task = state.tasks.find(number);
      invariant(task && task->options, "a completion leaves its group before it ends");
      displace(state, *task, now);
      task->options->after_group.clear();
      place(state, *task, now);
      save(state, *task, step);
    }
    forget_group_if_empty(state, *group);
  }
}

void on_remember_member(State& state, const RememberMember& event) {
  ++count_of(need_group(state, event.uid, event.group), event.state);
}

void on_forget_member(State& state, const ForgetMember& event) {
  Group* group = find_group(state, event.uid, event.group);
  invariant(group && count_of(*group, event.state) > 0, "a task that is forgotten was counted");
  --count_of(*group, event.state);
  forget_group_if_empty(state, *group);
}

void return_to_group(State& state, Task& task) {
  TaskOptions& options = *task.options;
  if (options.group.empty()) return;
  options.in_group = find_group(state, task.uid, options.group);
  invariant(options.in_group != nullptr, "an ended task that is known keeps its group");
}

}  // namespace poold::core
