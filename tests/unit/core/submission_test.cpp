// Tasks in: order, keys, refusals. And signals on their way to a running task.
#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

TEST(Submission, TasksOfOnePriorityStartInTheOrderTheyCame) {
  World world(1);
  world.submit();
  world.submit();
  world.submit();
  world.expect({"1 accepted", "1 -> p/0.1", "2 accepted", "3 accepted"});
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED", "2 -> p/0.1"});
  world.finish(2);
  world.expect({"2 SUCCEEDED RETURNED", "3 -> p/0.1"});
  world.finish(3);
  world.expect({"3 SUCCEEDED RETURNED"});
}

TEST(Submission, HigherPrioritiesStartFirst) {
  World world(1);
  world.submit();
  world.submit(task(0));
  world.submit(task(5));
  world.submit(task(-1));
  world.submit(task(5));
  world.forget();
  EXPECT_EQ(world.queued(), (std::vector<Sequence>{3, 5, 2, 4}));
  for (const Sequence number : {1, 3, 5, 2, 4}) world.finish(number);
  world.expect({"1 SUCCEEDED RETURNED", "3 -> p/0.1", "3 SUCCEEDED RETURNED", "5 -> p/0.1",
                "5 SUCCEEDED RETURNED", "2 -> p/0.1", "2 SUCCEEDED RETURNED", "4 -> p/0.1",
                "4 SUCCEEDED RETURNED"});
}

TEST(Submission, EveryIdleWorkerGetsOne) {
  World world(3);
  world.submit_many(4);
  world.expect(
      {"1 accepted", "2 accepted", "3 accepted", "4 accepted", "1 -> p/2.1", "2 -> p/1.1", "3 -> p/0.1"});
  EXPECT_EQ(world.queued(), std::vector<Sequence>{4});
}

TEST(Submission, TheMostRecentlyUsedWorkerIsUsedAgain) {
  World world(3);
  world.submit_many(3);
  for (const Sequence number : {1, 3, 2}) world.finish(number);
  world.forget();
  world.submit();
  world.expect({"4 accepted", "4 -> p/1.1"});
}

TEST(Submission, TellsItsClientWithItsTag) {
  World world(1);
  Submit event = task();
  event.id = world.id(1);
  event.client = 7;
  event.tag = 42;
  event.spec = "the work";
  event.uid = 1000;
  Step step;
  world.core.handle(std::move(event), world.now(), step);
  const auto& accepted = std::get<Accepted>(step.promises.at(0));
  EXPECT_EQ(accepted.id, world.id(1));
  EXPECT_EQ(accepted.client, 7u);
  EXPECT_EQ(accepted.tag, 42u);
  step.clear();

  world.core.schedule(world.now(), step);
  const Task* running = world.core.find_live(1);
  ASSERT_NE(running, nullptr);
  EXPECT_EQ(running->spec, "the work");
  EXPECT_EQ(running->started_at, world.now());
  EXPECT_EQ(running->last_pid, 1001);
  step.clear();

  world.core.handle(world.result_of(1), world.now(), step);
  const auto& finished = std::get<Finished>(step.promises.at(0));
  EXPECT_EQ(finished.task.client, 7u);
  EXPECT_EQ(finished.task.tag, 42u);
  EXPECT_EQ(finished.task.uid, 1000u);
  EXPECT_EQ(finished.task.spec, "the work");
  EXPECT_EQ(finished.task.last_slot, 0u);
  EXPECT_EQ(finished.task.generation, 1u);
  EXPECT_EQ(finished.ended_at, world.now());
}

TEST(Keys, TheSameKeyAndPayloadAreTheSameTask) {
  World world(1);
  world.submit(keyed_task("k", 1));
  world.submit(keyed_task("k", 1));
  world.expect({"1 accepted", "1 -> p/0.1", "1 accepted before"});
}

TEST(Keys, AlsoAfterTheTaskHasEnded) {
  World world(1);
  world.submit(keyed_task("k", 1));
  world.finish(1);
  world.forget();
  world.submit(keyed_task("k", 1));
  world.expect({"1 accepted before"});
}

TEST(Keys, WithAnotherPayloadAreRefused) {
  World world(1);
  world.submit(keyed_task("k", 1));
  world.forget();
  world.submit(keyed_task("k", 2));
  world.expect({"refused: KEY_REUSED"});
  EXPECT_EQ(world.pool().counters.refused, 1u);
}

TEST(Keys, MayBeUsedAnewWhenTheirTaskIsForgotten) {
  World world(1);
  world.submit(keyed_task("k", 1));
  world.finish(1);
  world.turn(ForgetKey{"k", world.id(1)});
  world.forget();
  world.submit(keyed_task("k", 2));
  world.expect({"2 accepted", "2 -> p/0.1"});
  // Retention of the first task says it once more, too late.
  world.turn(ForgetKey{"k", world.id(1)});
  world.submit(keyed_task("k", 2));
  world.expect({"2 accepted before"});
}

TEST(Keys, FindTheirTaskEvenWhereANewOneWouldBeRefused) {
  World world(1);
  world.submit(keyed_task("k", 1));
  world.turn(DrainPool{0});
  world.forget();
  world.submit(keyed_task("k", 1));
  world.submit(keyed_task("other", 1));
  world.expect({"1 accepted before", "refused: POOL_DRAINING"});
}

TEST(Keys, OfARefusedTaskAreFree) {
  World world(1);
  world.turn(DrainPool{0});
  world.submit(keyed_task("k", 1));
  world.turn(ResumePool{0});
  world.submit(keyed_task("k", 2));
  world.expect({"refused: POOL_DRAINING", "2 accepted", "2 -> p/0.1"});
}

TEST(Queueing, AFullQueueRefuses) {
  PoolSettings settings = pool_settings();
  settings.queue_size = 2;
  World world({settings});
  world.submit();
  world.submit();
  world.submit();
  world.expect({"start p/0", "1 accepted", "2 accepted", "refused: QUEUE_FULL"});
  EXPECT_EQ(world.pool().counters.refused, 1u);
  world.ready(0);
  world.expect({"1 -> p/0.1"});
  world.submit();
  world.submit();
  world.expect({"4 accepted", "refused: QUEUE_FULL"});
}

TEST(Queueing, PoolsDoNotWaitForOneAnother) {
  World world({pool_settings("a"), pool_settings("b")});
  world.ready_all();
  world.forget();
  Submit to_b = task();
  to_b.pool = 1;
  world.submit();
  world.submit(std::move(to_b));
  world.expect({"1 accepted", "1 -> a/0.1", "2 accepted", "2 -> b/0.1"});
}

TEST(Signals, GoToTheWorkerThatRunsTheTask) {
  World world(1);
  world.submit();
  world.submit();
  world.forget();
  world.turn(SignalTask{1, 15});
  world.expect({"signal 15 to 1 on p/0.1"});
  world.turn(SignalTask{2, 15});  // queued
  world.turn(SignalTask{9, 15});  // unknown
  world.expect({});
}

TEST(Output, IsNotedOnTheRunningAttemptOnly) {
  World world(1);
  world.submit();
  world.turn(WorkerOutput{world.worker(0), 1, 2});
  world.turn(WorkerOutput{{0, 0, 9}, 1, 1});
  EXPECT_FALSE(world.find(1)->has_log);
  world.turn(WorkerOutput{world.worker(0), 1, 1});
  EXPECT_TRUE(world.find(1)->has_log);
  world.forget();
}

}  // namespace
}  // namespace poold::core
