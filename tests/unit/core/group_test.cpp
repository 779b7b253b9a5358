// Groups: tasks counted under one name, and what waits for the end of them all.
#include <gtest/gtest.h>

#include "daemon/core/explain.hpp"
#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

Submit in_group(const std::string& name, std::uint32_t uid = 0) {
  Submit event = task();
  event.uid = uid;
  event.options = std::make_unique<TaskOptions>();
  event.options->group = name;
  return event;
}

Submit after_group(const std::string& name, std::uint32_t uid = 0) {
  Submit event = task();
  event.uid = uid;
  event.options = std::make_unique<TaskOptions>();
  event.options->after_group = name;
  return event;
}

// waiting, queued, running, succeeded, failed, cancelled
std::vector<std::uint32_t> counts(const World& world, const std::string& name, std::uint32_t uid = 0) {
  const auto group = world.core.state().groups.find({uid, name});
  if (group == world.core.state().groups.end()) return {};
  return {group->second->counts.begin(), group->second->counts.end()};
}

using Counts = std::vector<std::uint32_t>;

TEST(Group, CountsItsTasksByState) {
  World world(1);
  for (int i = 0; i < 4; ++i) world.submit(in_group("g"));
  EXPECT_EQ(counts(world, "g"), (Counts{0, 3, 1, 0, 0, 0}));
  world.turn(Hold{4});
  EXPECT_EQ(counts(world, "g"), (Counts{1, 2, 1, 0, 0, 0}));
  world.finish(1);
  world.finish(2, OutcomeKind::raised);
  world.cancel(4);
  EXPECT_EQ(counts(world, "g"), (Counts{0, 0, 1, 1, 1, 1}));
  world.forget();
}

TEST(Group, TwoUsersGroupsOfOneNameAreTwo) {
  World world(0);
  world.submit(in_group("g", 1));
  world.submit(in_group("g", 2));
  world.submit(in_group("g", 2));
  EXPECT_EQ(counts(world, "g", 1), (Counts{0, 1, 0, 0, 0, 0}));
  EXPECT_EQ(counts(world, "g", 2), (Counts{0, 2, 0, 0, 0, 0}));
  world.submit(after_group("g", 1));
  EXPECT_TRUE(world.core.state().groups.at({1, "g"})->closed());
  EXPECT_FALSE(world.core.state().groups.at({2, "g"})->closed());
  world.forget();
}

TEST(Group, IsForgottenWithTheLastTaskThatIsRetained) {
  World world(1);
  world.submit(in_group("g"));
  world.finish(1);
  world.turn(ForgetMember{0, "g", TaskState::succeeded});
  EXPECT_TRUE(world.core.state().groups.empty());
  world.forget();
}

TEST(Group, AnEndedTaskThatAnEarlierEngineLeftIsCounted) {
  World world(0);
  world.turn(RememberMember{0, "g", TaskState::failed});
  EXPECT_EQ(counts(world, "g"), (Counts{0, 0, 0, 0, 1, 0}));
}

TEST(Group, ATaskOfALimitStandsWaiting) {
  World world(2);
  for (int i = 0; i < 2; ++i) {
    Submit event = in_group("g");
    event.options->limits.push_back({"gpu", 1});
    world.submit(std::move(event));
  }
  EXPECT_EQ(counts(world, "g"), (Counts{1, 0, 1, 0, 0, 0}));
  world.finish(1);
  EXPECT_EQ(counts(world, "g"), (Counts{0, 0, 1, 1, 0, 0}));
  world.forget();
}

TEST(Completion, StartsWhenTheLastTaskHasEndedHowever) {
  World world(2);
  world.submit(in_group("g"));
  world.submit(in_group("g"));
  const Sequence last = world.submit(after_group("g"));
  EXPECT_EQ(world.find(last)->state, TaskState::waiting);
  world.finish(1);
  world.forget();
  world.finish(2, OutcomeKind::raised);
  world.expect({"2 FAILED RAISED", "3 -> p/0.1"});
}

TEST(Completion, SeveralAreAllReleased) {
  World world(3);
  world.submit(in_group("g"));
  world.submit(after_group("g"));
  world.submit(after_group("g"));
  world.forget();
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED", "2 -> p/2.1", "3 -> p/1.1"});
}

TEST(Completion, OfAGroupWhoseTasksHaveEndedStartsAtOnce) {
  World world(1);
  world.submit(in_group("g"));
  world.finish(1);
  world.forget();
  world.submit(after_group("g"));
  world.expect({"2 accepted", "2 -> p/0.1"});
}

TEST(Completion, OfAGroupThatIsNotThereIsRefused) {
  World world(1);
  world.submit(after_group("g"));
  world.expect({"refused: GROUP_UNKNOWN"});
}

TEST(Completion, ClosesItsGroupUntilItIsReleased) {
  World world(1);
  world.submit(in_group("g"));
  world.submit(after_group("g"));
  world.forget();
  world.submit(in_group("g"));
  world.expect({"refused: GROUP_CLOSED"});
  world.finish(1);
  world.forget();
  world.submit(in_group("g"));
  world.expect({"4 accepted"});
}

TEST(Completion, ThatIsCancelledOpensItsGroup) {
  World world(1);
  world.submit(in_group("g"));
  const Sequence last = world.submit(after_group("g"));
  world.cancel(last);
  EXPECT_FALSE(world.core.state().groups.at({0, "g"})->closed());
  world.forget();
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED"});
}

TEST(Completion, WaitsForAnAttemptThatIsRepeated) {
  World world(1);
  Submit event = in_group("g");
  event.attempts_max = 2;
  world.submit(std::move(event));
  const Sequence last = world.submit(after_group("g"));
  world.finish(1, OutcomeKind::raised);
  EXPECT_EQ(world.find(last)->state, TaskState::waiting);
  world.finish(1, OutcomeKind::raised);
  EXPECT_EQ(world.find(last)->state, TaskState::running);
  world.forget();
}

TEST(Completion, OfTasksThatACancelledParentTakesAlong) {
  World world(0);
  const Sequence parent = world.submit();
  Submit child = in_group("g");
  child.options->parents.push_back({parent, false, std::nullopt});
  world.submit(std::move(child));
  const Sequence last = world.submit(after_group("g"));
  world.cancel(parent);
  EXPECT_EQ(world.find(last)->state, TaskState::queued);
  EXPECT_EQ(counts(world, "g"), (Counts{0, 0, 0, 0, 0, 1}));
  world.forget();
}

TEST(Completion, SaysForHowManyItWaits) {
  World world(0);
  world.submit(in_group("g"));
  world.submit(in_group("g"));
  const Sequence last = world.submit(after_group("g"));
  const auto reasons = explain(world.core.state(), *world.find(last), world.now());
  ASSERT_EQ(reasons.size(), 1u);
  EXPECT_EQ(reasons[0].kind, Reason::Kind::group);
  EXPECT_EQ(reasons[0].group, "g");
  EXPECT_EQ(reasons[0].ahead, 2u);
  world.forget();
}

TEST(Completion, ComesBackAfterItsGroupAndWaitsOn) {
  PoolSettings settings = pool_settings("p", 1);
  settings.durable = true;
  World world({settings});
  world.ready_all();
  const auto left = [&](Sequence number, const std::string& group, const std::string& awaited) {
    Recover event;
    event.task.id = world.id(number);
    event.task.stored = true;
    event.task.crash_attempts_max = 3;
    event.task.options = std::make_unique<TaskOptions>();
    event.task.options->group = group;
    event.task.options->after_group = awaited;
    return event;
  };
  world.turn(left(1, "g", ""), left(2, "", "g"));
  EXPECT_EQ(world.find(2)->state, TaskState::waiting);
  world.finish(1);
  EXPECT_EQ(world.find(2)->state, TaskState::running);
  world.forget();
}

TEST(Completion, WhoseGroupHasEndedMeanwhileComesBackFree) {
  PoolSettings settings = pool_settings("p", 0);
  settings.durable = true;
  World world({settings});
  Recover event;
  event.task.id = world.id(1);
  event.task.stored = true;
  event.task.crash_attempts_max = 3;
  event.task.options = std::make_unique<TaskOptions>();
  event.task.options->after_group = "g";
  world.turn(std::move(event));
  EXPECT_EQ(world.queued(), std::vector<Sequence>{1});
  world.forget();
}

TEST(Retry, OfAGroupsTaskIsCountedAgain) {
  World world(0);
  world.submit(in_group("g"));
  Task ended;
  Step step;
  world.core.handle(Cancel{1}, world.now(), step);
  ended = std::move(std::get<Finished>(step.promises.front()).task);
  EXPECT_EQ(counts(world, "g"), (Counts{0, 0, 0, 0, 0, 1}));
  world.turn(Retry{std::move(ended)});
  EXPECT_EQ(counts(world, "g"), (Counts{0, 1, 0, 0, 0, 0}));
  world.forget();
}

}  // namespace
}  // namespace poold::core
