// What comes too late, or from nobody: events about workers, tasks and keys that are not there, or not any
// more. None of them changes anything.
#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

// Each is a worker of the pool "p" that is not there: another pool, another slot, an earlier process.
constexpr WorkerRef nobody[] = {{9, 0, 1}, {0, 9, 1}, {0, 0, 9}};

TEST(Stale, WordsOfAWorkerThatIsNotThereChangeNothing) {
  World world(1);
  const Sequence number = world.submit();
  world.forget();
  for (const WorkerRef worker : nobody) {
    world.turn(WorkerHello{worker});
    world.turn(WorkerSaidAgain{worker, {number}});
    world.turn(WorkerExited{worker, true, 9, {}});
    world.turn(WorkerBroken{worker, "said nonsense", false});
    world.turn(WorkerReturned{worker, {number}});
    world.turn(WorkerOutput{worker, number, 1});
    world.turn(WorkerMemory{worker, 1});
    WorkerResult result = world.result_of(number);
    result.worker = worker;
    world.turn(std::move(result));
  }
  world.expect({});
  EXPECT_FALSE(world.find(number)->has_log);
  EXPECT_EQ(world.held(0), std::vector{number});
}

TEST(Stale, AStartForAPoolOrASlotThatIsGoneChangesNothing) {
  World world(1);
  for (const WorkerRef worker : {WorkerRef{9, 0, 1}, WorkerRef{0, 9, 1}}) {
    world.turn(WorkerStarted{worker, 4711});
    world.turn(WorkerStartFailed{worker.pool, worker.slot, {}});
  }
  world.turn(WorkerAdopted{{9, 0, 1}, 4711});
  world.expect({});
}

TEST(Stale, AResultOfAnotherAttemptOrOfAnotherWorkersTaskIsCounted) {
  World world(2);
  const Sequence number = world.submit(), other = world.submit(), queued = world.submit();
  world.forget();
  WorkerResult result = world.result_of(number);
  result.attempt = 7;
  world.turn(std::move(result));
  result = world.result_of(number);
  result.worker = world.worker(world.find(other)->slot);
  world.turn(std::move(result));
  result = world.result_of(number);
  result.task = queued;
  world.turn(std::move(result));
  result = world.result_of(number);
  result.task = 99;
  world.turn(std::move(result));
  EXPECT_EQ(world.pool().counters.stale, 4u);
  world.expect({});
}

TEST(Stale, ATaskThatItWasNotAskedForIsNotTakenBack) {
  World world(1);
  const Sequence number = world.submit(), queued = world.submit();
  world.forget();
  world.returned(world.worker(0), {number, queued, 99});
  EXPECT_EQ(world.pool().counters.stale, 3u);
  world.expect({});
}

TEST(Stale, WishesForATaskThatHasEndedChangeNothing) {
  World world(1);
  const Sequence number = world.submit();
  world.finish(number);
  world.forget();
  world.cancel(number);
  world.turn(SignalTask{number, 10});
  world.turn(Hold{number});
  world.turn(Release{number});
  world.expect({});
}

TEST(Stale, ASignalForATaskThatDoesNotRunGoesNowhere) {
  World world(1);
  world.submit();
  const Sequence queued = world.submit();
  world.forget();
  world.turn(SignalTask{queued, 10});
  world.expect({});
}

TEST(Stale, AKeyIsForgottenOnlyWithItsOwnTask) {
  World world(1);
  const Sequence number = world.submit(keyed_task("key", 1));
  world.finish(number);
  world.forget();
  world.turn(ForgetKey{"another", world.id(number)});
  world.turn(ForgetKey{"key", world.id(99)});
  EXPECT_EQ(world.core.state().keys.size(), 1u);
  world.turn(ForgetKey{"key", world.id(number)});
  EXPECT_TRUE(world.core.state().keys.empty());
}

TEST(Stale, WhatWasSentToAWorkerThatIsGoneIsNobodys) {
  World world(1);
  const Sequence number = world.submit();
  world.forget();
  for (const WorkerRef worker : nobody) world.core.sent(worker, number, world.now() + 1s);
  world.core.sent(world.worker(0), 99, world.now() + 1s);
  EXPECT_EQ(world.slot(0).head_since, world.now());
}

TEST(Stale, AClosedPipeOfAWorkerThatIsLeavingIsNoNews) {
  World world(1);
  const WorkerRef worker = world.worker(0);
  world.turn(WorkerBroken{worker, "", true});
  world.turn(WorkerBroken{worker, "", true});
  EXPECT_EQ(world.slot(0).stop_reason, StopReason::closed);
  world.turn(WorkerHello{worker});
  world.turn(WorkerHello{worker});
  world.forget();
}

TEST(Stale, APoolOfAnUnknownNameIsNoPool) {
  const World world(1);
  EXPECT_EQ(world.core.find_pool("p"), &world.pool());
  EXPECT_EQ(world.core.find_pool("q"), nullptr);
}

}  // namespace
}  // namespace poold::core
