// Workers that outlived an engine and say what nobody expects, or end before they say anything. What usually
// happens to them is in recovery_test.cpp. And what waits for a limit, or is refused, when everything stops.
#include <gtest/gtest.h>

#include <memory>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

constexpr std::int32_t living_pid = 4711;
constexpr WorkerRef living{0, 0, 5};

PoolSettings durable(std::uint32_t workers) {
  PoolSettings settings = pool_settings("p", workers);
  settings.durable = true;
  return settings;
}

// One that ran in `living` when its engine died.
Recover left_running(const World& world, Sequence number, std::uint32_t attempt = 1) {
  Recover event;
  event.task.id = world.id(number);
  event.task.state = TaskState::running;
  event.task.attempt = attempt;
  event.task.stored = true;
  event.task.crash_attempts_max = 3;
  event.task.last_slot = living.slot;
  event.task.generation = living.generation;
  event.task.last_pid = living_pid;
  return event;
}

TEST(OddAdoption, TasksThatItNamesTwiceOrThatNobodyKnowsAreNotHeld) {
  World world({durable(0)});
  world.turn(Configure{{durable(1)}}, WorkerAdopted{living, living_pid}, left_running(world, 1));
  world.turn(WorkerSaidAgain{living, {99, 1, 1}});
  EXPECT_EQ(world.held(0), std::vector<Sequence>{1});
  world.expect({});
}

TEST(OddAdoption, ASecondHelloIsItsFault) {
  World world({durable(0)});
  world.turn(Configure{{durable(1)}}, WorkerAdopted{living, living_pid}, left_running(world, 1));
  world.turn(WorkerSaidAgain{living, {1}});
  world.expect({});
  world.turn(WorkerSaidAgain{living, {1}});
  EXPECT_EQ(world.slot(0).stop_reason, StopReason::its_fault);
  world.forget();
}

TEST(OddAdoption, AHelloAsIfItWereNewIsItsFault) {
  World world({durable(0)});
  world.turn(Configure{{durable(1)}}, WorkerAdopted{living, living_pid}, left_running(world, 1));
  world.turn(WorkerHello{living});
  EXPECT_EQ(world.slot(0).stop_reason, StopReason::its_fault);
  world.forget();
}

TEST(OddAdoption, WhatACondemnedWorkerSaysAgainChangesNothing) {
  World world({durable(0)});
  world.turn(Configure{{durable(1)}}, WorkerAdopted{living, living_pid}, left_running(world, 1));
  world.turn(WorkerBroken{living, "said nonsense", false});
  world.forget();
  world.turn(WorkerSaidAgain{living, {}});
  EXPECT_EQ(world.held(0), std::vector<Sequence>{1});
  EXPECT_EQ(world.slot(0).state, WorkerState::stopping);
  world.forget();
}

TEST(OddAdoption, AnExitCodeBeforeItSaidWhatItRunsIsACrashOfItsOnlyTask) {
  World world({durable(0)});
  world.turn(Configure{{durable(1)}}, WorkerAdopted{living, living_pid}, left_running(world, 1));
  world.exited(living, 3);
  EXPECT_EQ(world.find(1)->crashes, 1u);
  world.forget();
}

TEST(OddAdoption, WhichOfSeveralKilledItNobodyKnows) {
  World world({durable(0)});
  Recover cancelled = left_running(world, 2);
  cancelled.task.cancelling = true;
  world.turn(Configure{{durable(1)}}, WorkerAdopted{living, living_pid}, left_running(world, 1),
             std::move(cancelled));
  world.killed(living);
  EXPECT_EQ(world.find(1)->crashes, 0u);
  EXPECT_EQ(world.find(1)->uncharged, 1u);
  EXPECT_EQ(world.find(2), nullptr) << "its cancel was answered";
  world.forget();
}

TEST(OddAdoption, ATaskOfAnotherSlotOrAnEarlierProcessRunsAgain) {
  World world({durable(0)});
  Recover elsewhere = left_running(world, 1), earlier = left_running(world, 2);
  elsewhere.task.last_slot = 7;
  earlier.task.generation = 4;
  world.turn(Configure{{durable(1)}}, WorkerAdopted{living, living_pid}, std::move(elsewhere),
             std::move(earlier));
  EXPECT_EQ(world.queued(), (std::vector<Sequence>{1, 2}));
  EXPECT_EQ(world.find(1)->uncharged, 1u);
  world.forget();
}

Submit limited(PoolIndex pool) {
  Submit event = task();
  event.pool = pool;
  event.options = std::make_unique<TaskOptions>();
  event.options->limits.push_back({"db"});
  return event;
}

TEST(StopWithLimits, WhatIsParkedEndsUnlessItsPoolIsDurable) {
  PoolSettings second = durable(1);
  second.name = "lasting";
  World world({pool_settings("p", 2), second});
  world.ready_all();
  world.submit(limited(0));
  const Sequence fleeting = world.submit(limited(0)), lasting = world.submit(limited(1));
  ASSERT_EQ(world.find(fleeting)->state, TaskState::waiting);
  ASSERT_EQ(world.find(lasting)->state, TaskState::waiting);
  world.turn(StopAll{30s});
  EXPECT_EQ(world.find(fleeting), nullptr);
  EXPECT_NE(world.find(lasting), nullptr);
  world.forget();
}

TEST(Full, IsWhatARoomlessPoolIsAndNotOneThatTakesNothing) {
  PoolSettings settings = pool_settings("p", 0);
  settings.queue_size = 2;
  settings.user_tasks_max = 1;
  World world({settings});
  const auto full = [&](std::uint32_t uid) { return is_full(world.core.state(), world.pool(), uid); };
  EXPECT_FALSE(full(1));
  Submit event = task();
  event.uid = 1;
  world.submit(std::move(event));
  EXPECT_TRUE(full(1)) << "its user has as many as it may";
  EXPECT_FALSE(full(2));
  event = task();
  event.uid = 2;
  world.submit(std::move(event));
  EXPECT_TRUE(full(3)) << "the queue is full";
  world.turn(DrainPool{0});
  EXPECT_FALSE(full(3)) << "room would not help";
  world.forget();
}

TEST(Full, AGroupThatIsClosedOrUnknownIsNot) {
  World world(0);
  TaskOptions options;
  options.group = "g";
  EXPECT_EQ(refusal_by_group(world.core.state(), options, 1), std::nullopt);
  options.group.clear();
  options.after_group = "g";
  EXPECT_EQ(refusal_by_group(world.core.state(), options, 1), Refusal::group_unknown);
}

}  // namespace
}  // namespace poold::core
