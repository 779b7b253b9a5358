// Groups: tasks of one user under one name, counted by state, and what waits until all of them have ended.
//
// A group is there while a task of it is known: unfinished, or ended and retained. Its counts are of just
// those, kept with each change of a task's state. A completion (TaskOptions::after_group) waits until no
// task of its group is unfinished; while one waits the group is closed to new tasks, so that "all" means
// something. Deciding is in group.cpp. Nothing here is stored: a restart counts again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/task.hpp"

namespace poold::core {

// Its user, and its name: two users' groups of one name have nothing to do with each other.
using GroupKey = std::pair<std::uint32_t, std::string>;

struct Group {
  GroupKey key;
  std::array<std::uint32_t, 6> counts{};  // by TaskState; of the last three, those that are retained
  std::vector<Sequence> completions;      // who wait for its end; none once it has come

  std::uint32_t count(TaskState state) const { return counts[static_cast<std::size_t>(state)]; }
  std::uint32_t unfinished() const {
    return count(TaskState::waiting) + count(TaskState::queued) + count(TaskState::running);
  }
  std::uint32_t known() const {
    return unfinished() + count(TaskState::succeeded) + count(TaskState::failed) +
           count(TaskState::cancelled);
  }
  bool closed() const { return !completions.empty(); }
};

using Groups = std::map<GroupKey, std::unique_ptr<Group>>;

void move_in_group(Group& group, TaskState before, TaskState after);

// Follows every change of the state of a task that has options; a task without any is in no group.
inline void count_in_group(const Task& task, TaskState before) {
  if (Group* group = task.options->in_group) move_in_group(*group, before, task.state);
}

}  // namespace poold::core
