// Each invariant of limits, groups and the tables of everything notices what it is there for.
#include <gtest/gtest.h>

#include <memory>

#include "tests/unit/core/damage.hpp"

namespace poold::core {
namespace {

TEST(Invariants, SeeThatATaskAndItsLimitDisagree) {
  expect_complaints({
      {"db: an offer to nobody", [](State& s) { task_of(s, parked).options->offered_by = &limit_of(s); }},
      {"p/1: a task's limit is another one",
       [](State& s) { task_of(s, limited).options->limits[0].limit = nullptr; }},
      {"p/1: a task's limit is another one",
       [](State& s) { task_of(s, limited).options->limits[0].name = "other"; }},
      {"db: a task holds tokens and does not run",
       [](State& s) { task_of(s, parked).options->limits[0].taken = 1; }},
      {"db: a task is parked that does not know it",
       [](State& s) { task_of(s, parked).options->parked_at = nullptr; }},
      {"db: a task is parked that does not know it",
       [](State& s) { task_of(s, parked).state = TaskState::queued, task_of(s, parked).options.reset(); }},
  });
}

TEST(Invariants, SeeThatALimitIsMiscounted) {
  expect_complaints({
      {"db: a limit's tasks are miscounted", [](State& s) { ++limit_of(s).users; }},
      {"db: a limit's tokens are miscounted", [](State& s) { ++limit_of(s).used; }},
      {"idle: a limit that nobody needs",
       [](State& s) {
         s.limits.emplace("idle", std::make_unique<Limit>()).first->second->settings.name = "idle";
       }},
      {"db: a limit that no timer would find", [](State& s) { s.limit_numbers.clear(); }},
      {"db: offers are miscounted", [](State& s) { ++limit_of(s).parked.at(0).offered; }},
      {"db: offers are miscounted", [](State& s) { ++limit_of(s).parked.at(0).offered_starts; }},
      {"db: a limit's list is miscounted",
       [](State& s) {
         limit_of(s).parked.at(0).queue.push_back(stray_task());
         task_of(s, parked).next = nullptr;
       }},
      {"db: a pool's parked tasks are miscounted", [](State& s) { ++s.pools[0].parked; }},
  });
}

TEST(Invariants, SeeThatATaskAndItsGroupDisagree) {
  expect_complaints({
      {"groups: a task's group is lost", [](State& s) { task_of(s, limited).options->in_group = nullptr; }},
      {"groups: a task's group is another one", [](State& s) { task_of(s, limited).options->group = "h"; }},
      {"groups: a completion does not wait", [](State& s) { task_of(s, mortal).options->after_group = "g"; }},
      {"groups: a completion does not wait", [](State& s) { task_of(s, parked).options->after_group = "g"; }},
      {"groups: a completion waits for a group that is over",
       [](State& s) { task_of(s, completion).options->after_group = "none"; }},
      {"groups: a completion waits for a group that is over", [](State& s) { group_of(s).counts = {}; }},
      {"groups: a group lost its completion", [](State& s) { group_of(s).completions.clear(); }},
  });
}

TEST(Invariants, SeeThatAGroupIsMiscounted) {
  expect_complaints({
      {"g: a group is miscounted", [](State& s) { ++group_of(s).counts[1]; }},
      {"g: a group's completions are miscounted", [](State& s) { group_of(s).completions.push_back(99); }},
      {"idle: a group that nobody needs",
       [](State& s) {
         s.groups.emplace(GroupKey{0, "idle"}, std::make_unique<Group>());
       }},
      {"g: a task belongs to a group that is not there",
       [](State& s) {
         static Group lost{{0, "lost"}, {}, {}};
         task_of(s, held).options->group = "lost";
         task_of(s, held).options->in_group = &lost;
       }},
  });
}

TEST(Invariants, SeeWhatIsLeftOver) {
  expect_complaints({
      {"tables: a task is in the table and nowhere else",
       [](State& s) { s.tasks.insert(make_task_id(1'700'000'000'099, 77, 99)); }},
      {"tables: a timer of a task that is over",
       [](State& s) { task_of(s, mortal).options->due = Time::max(); }},
      {"tables: completions have not been told of their group's end",
       [](State& s) { s.ended_groups.emplace_back(0, "g"); }},
      {"tables: children have not been told of their parent's end",
       [](State& s) { s.ended_parents.emplace_back(keyed, true); }},
  });
}

}  // namespace
}  // namespace poold::core
