// Durable pools: what has to be written, what comes back from an earlier engine, and the workers that
// outlived it.
#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

PoolSettings durable(std::uint32_t workers = 1) {
  PoolSettings settings = pool_settings("p", workers);
  settings.durable = true;
  return settings;
}

// A task as an earlier engine left it.
Recover left(const World& world, Sequence number, TaskState state = TaskState::queued,
             std::uint32_t attempt = 0) {
  Recover event;
  event.task.id = world.id(number);
  event.task.state = state;
  event.task.attempt = attempt;
  event.task.stored = true;
  event.task.crash_attempts_max = 3;
  return event;
}

constexpr std::int32_t living_pid = 4711;

// One that ran in slot 0, generation 5, when that engine died.
Recover left_running(const World& world, Sequence number, std::uint32_t attempt = 1) {
  Recover event = left(world, number, TaskState::running, attempt);
  event.task.last_slot = 0;
  event.task.generation = 5;
  event.task.last_pid = living_pid;
  return event;
}

constexpr WorkerRef living{0, 0, 5};

TEST(DurablePool, EachChangeIsToBeWritten) {
  World world({durable()});
  world.ready_all();
  world.forget();
  const Sequence number = world.submit();
  world.expect({"save 1", "1 accepted", "1 -> p/0.1"});
  world.cancel(number);
  world.expect({"cancel 1 on p/0.1", "save 1"});
  world.finish(number, OutcomeKind::cancelled);
  world.expect({"1 CANCELLED"});
}

TEST(DurablePool, HoldReleaseAndRetryAreWritten) {
  World world({durable(0)});
  const Sequence number = world.submit();
  world.forget();
  world.turn(Hold{number});
  world.turn(Release{number});
  world.expect({"save 1", "save 1"});
}

TEST(MemoryPool, NothingIsToBeWritten) {
  World world(1);
  world.submit();
  world.expect({"1 accepted", "1 -> p/0.1"});
}

TEST(Recovery, TasksComeBackInTheirOrder) {
  World world({durable()});
  world.forget();
  world.turn(left(world, 1), left(world, 2), left(world, 3));
  EXPECT_EQ(world.queued(), (std::vector<Sequence>{1, 2, 3}));
  world.forget();
}

TEST(Recovery, WhatRanWithAWorkerThatIsGoneRunsAgainUncharged) {
  World world({durable()});
  world.ready_all();
  world.forget();
  world.turn(left_running(world, 1));
  world.expect({"save 1", "1 -> p/0.1"});
  EXPECT_EQ(world.find(1)->attempt, 2u);
  EXPECT_EQ(world.find(1)->crashes, 0u);
  world.finish(1);
  world.forget();
}

TEST(Recovery, CancelThatWasAnsweredDecides) {
  World world({durable(0)});
  Recover event = left_running(world, 1);
  event.task.cancelling = true;
  world.turn(std::move(event));
  world.expect({"1 CANCELLED"});
}

TEST(Recovery, KeysFindTheirTasks) {
  World world({durable(0)});
  Recover event = left(world, 1);
  event.task.key = std::make_unique<std::string>("k");
  event.digest = 7;
  world.turn(std::move(event));
  world.turn(RememberKey{"ended", {world.id(2), 8}});
  world.forget();
  EXPECT_EQ(world.core.state().keys.at("k").id, world.id(1));
  EXPECT_EQ(world.core.state().keys.at("ended").digest, 8u);
}

TEST(Recovery, TaskThatWaitsForATimeGoesOnWaiting) {
  World world({durable()});
  world.ready_all();
  Recover event = left(world, 1, TaskState::waiting);
  event.task.options = std::make_unique<TaskOptions>();
  event.task.options->not_before = world.now() + 10s;
  world.forget();
  world.turn(std::move(event));
  world.expect({"save 1"});
  world.advance(10s);
  world.expect({"save 1", "1 -> p/0.1"});
  world.finish(1);
  world.forget();
}

TEST(Adoption, AttemptOfALivingWorkerIsNeitherRepeatedNorFailed) {
  World silent({durable(0)});
  silent.turn(Configure{{durable()}}, WorkerAdopted{living, living_pid}, left_running(silent, 1));
  silent.advance(24h);  // a function may hold the interpreter for as long as it likes
  silent.expect({});
  EXPECT_EQ(silent.held(0), std::vector<Sequence>{1});
  silent.turn(WorkerSaidAgain{living, {1}});
  silent.finish(1);
  silent.expect({"1 SUCCEEDED RETURNED"});
}

TEST(Adoption, WhatNeverReachedTheWorkerGoesBack) {
  World world({durable(0)});
  world.turn(Configure{{durable()}}, WorkerAdopted{living, living_pid}, left_running(world, 1),
             left_running(world, 2), left_running(world, 3));
  world.expect({});
  // It has the third and the first, in this order, and never got the second.
  world.turn(WorkerSaidAgain{living, {3, 1}});
  EXPECT_EQ(world.held(0), (std::vector<Sequence>{3, 1}));
  EXPECT_EQ(world.queued(), std::vector<Sequence>{2});
  EXPECT_EQ(world.find(2)->attempt, 0u);
  world.forget();
  world.finish(3);
  world.finish(1);
  world.forget();
}

TEST(Adoption, WorkerThatOwesNothingIsIdle) {
  World world({durable(0)});
  world.turn(Configure{{durable()}}, WorkerAdopted{living, living_pid}, left_running(world, 1));
  world.turn(WorkerSaidAgain{living, {}});
  world.expect({"save 1", "1 back", "1 -> p/0.5"});
  world.finish(1);
  world.forget();
}

TEST(Adoption, AttemptThatReachedItsWorkerIsNotSentAgainAfterTheResultOfTheOneBefore) {
  World world({durable(0)});
  world.turn(Configure{{durable()}}, WorkerAdopted{living, living_pid}, left_running(world, 1, 2));
  world.turn(WorkerSaidAgain{living, {1, 1}});
  world.forget();
  world.turn(WorkerResult{living, 1, 1, OutcomeKind::raised, 0, "said before"});
  world.expect({});
  world.turn(WorkerResult{living, 1, 2, OutcomeKind::returned, 0, "body"});
  world.expect({"1 SUCCEEDED RETURNED attempt 2 'body'"});
}

TEST(Adoption, AttemptThatWasWrittenAndNeverSentIsSentAfterTheResultOfTheOneBefore) {
  World world({durable(0)});
  world.turn(Configure{{durable()}}, WorkerAdopted{living, living_pid}, left_running(world, 1, 2));
  world.turn(WorkerSaidAgain{living, {1}});
  world.forget();
  world.turn(WorkerResult{living, 1, 1, OutcomeKind::raised, 0, "said before"});
  world.expect({"save 1", "1 back attempt 2", "1 -> p/0.5"});
  EXPECT_EQ(world.find(1)->attempt, 2u);
  // The same once more is a lie: this engine has sent the attempt.
  world.turn(WorkerResult{living, 1, 1, OutcomeKind::raised, 0, "said before"});
  world.expect({});
  world.finish(1);
  world.forget();
}

TEST(Adoption, WhatWasAskedBackMayStillComeBack) {
  World world({durable(0)});
  world.turn(Configure{{durable()}}, WorkerAdopted{living, living_pid}, left_running(world, 1),
             left_running(world, 2));
  world.turn(WorkerSaidAgain{.worker = living, .tasks = {1, 2}, .returning = {2}});
  world.expect({});
  world.turn(WorkerReturned{living, {2}});
  EXPECT_EQ(world.queued(), std::vector<Sequence>{2});
  world.finish(1);
  world.finish(2);
  world.forget();
}

TEST(Adoption, WorkerThatWasToldToGoStillGoes) {
  World world({durable(0)});
  world.turn(Configure{{durable()}}, WorkerAdopted{living, living_pid}, left_running(world, 1));
  world.turn(WorkerSaidAgain{.worker = living, .tasks = {1}, .retiring = true});
  world.expect({"stop p/0.5"});
  world.finish(1);
  world.forget();
}

TEST(Adoption, CancelIsSaidAgain) {
  World world({durable(0)});
  Recover event = left_running(world, 1);
  event.task.cancelling = true;
  world.turn(Configure{{durable()}}, WorkerAdopted{living, living_pid}, std::move(event));
  world.expect({"cancel 1 on p/0.5"});  // it may be an orphan, which never says hello again
  world.turn(WorkerSaidAgain{living, {1}});
  world.expect({"cancel 1 on p/0.5"});
  world.finish(1, OutcomeKind::cancelled);
  world.forget();
}

TEST(Adoption, PidOfAnotherSupervisorsWorkerIsNobodyWeKnow) {
  World world({durable(0)});
  world.turn(Configure{{durable()}}, WorkerAdopted{living, living_pid + 1}, left_running(world, 1));
  world.expect({"save 1"});
  EXPECT_EQ(world.queued(), std::vector<Sequence>{1});
  world.turn(WorkerSaidAgain{living, {}});
  world.expect({"save 1", "1 -> p/0.5"});
  EXPECT_EQ(world.find(1)->attempt, 2u);
  world.finish(1);
  world.forget();
}

TEST(Adoption, WorkerKilledBeforeItSaidWhatItRunsCostsItsOnlyTaskACrash) {
  World world({durable(0)});
  world.turn(Configure{{durable()}}, WorkerAdopted{living, living_pid}, left_running(world, 1));
  world.killed(living);
  EXPECT_EQ(world.find(1)->crashes, 1u);
  EXPECT_EQ(world.find(1)->attempt, 1u);
  world.forget();
}

TEST(Adoption, WorkerThatEndsInPeaceCostsNothing) {
  World world({durable(0)});
  world.turn(Configure{{durable()}}, WorkerAdopted{living, living_pid}, left_running(world, 1),
             left_running(world, 2));
  world.exited(living);
  EXPECT_EQ(world.find(1)->crashes + world.find(2)->crashes, 0u);
  EXPECT_EQ(world.find(2)->attempt, 1u);  // it may have begun: its number is not used again
  world.forget();
}

TEST(Adoption, SlotThatThePoolHasNoLongerRetires) {
  World world({durable(0)});
  world.turn(WorkerAdopted{living, living_pid}, left_running(world, 1));
  world.expect({});
  world.turn(WorkerSaidAgain{living, {1}});
  world.expect({"stop p/0.5"});
  world.finish(1);
  world.exited(living);
  world.expect({"1 SUCCEEDED RETURNED"});
}

TEST(Adoption, TokensOfRunningTasksAreTheirs) {
  World world({durable(2)});
  world.ready_all();
  world.forget();
  Recover event = left(world, 1);
  event.task.options = std::make_unique<TaskOptions>();
  event.task.options->limits.push_back({"gpu"});
  world.turn(std::move(event));
  world.forget();
  EXPECT_EQ(world.core.state().limits.at("gpu")->used, 1u);
  world.finish(1);
  world.forget();
}

TEST(Adoption, StopWaitsForWhatTheWorkerRuns) {
  World world({durable(0)});
  world.turn(Configure{{durable()}}, WorkerAdopted{living, living_pid}, left_running(world, 1));
  world.turn(StopAll{30s});
  world.expect({});
  world.turn(WorkerSaidAgain{living, {1}});
  world.expect({"stop p/0.5"});
  world.finish(1);
  world.exited(living);
  world.expect({"1 SUCCEEDED RETURNED", "stop complete"});
}

TEST(DurableStop, WhatWaitsStaysAndWhatRunsIsEndedUncharged) {
  World world({durable()});
  world.ready_all();
  world.submit_many(2);
  world.forget();
  world.turn(StopAll{30s});
  world.expect({"stop p/0.1"});
  world.advance(30s);
  world.expect({"cancel 1 on p/0.1"});
  world.finish(1, OutcomeKind::cancelled);
  world.exited(world.worker(0));
  world.expect({"save 1", "1 again after CANCELLED", "stop complete"});
  EXPECT_EQ(world.queued(), (std::vector<Sequence>{2, 1}));
  EXPECT_EQ(world.find(1)->crashes + world.find(1)->failures, 0u);
}

TEST(DurableStop, ResultThatComesInTimeCounts) {
  World world({durable()});
  world.ready_all();
  world.submit();
  world.turn(StopAll{0s});
  world.advance(0s);
  world.forget();
  world.finish(1);
  world.exited(world.worker(0));
  world.expect({"1 SUCCEEDED RETURNED", "stop complete"});
}

}  // namespace
}  // namespace poold::core
