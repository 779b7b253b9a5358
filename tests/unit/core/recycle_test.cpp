// Workers replaced one by one, and pools that change, go and come back with the configuration.
#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

TEST(Recycle, OneByOneNeverFewerThanThereWere) {
  World world(2);
  world.turn(RecyclePool{0});
  world.expect({"start p/2"});
  world.ready(2);
  world.expect({"stop p/1.1"});
  EXPECT_EQ(ready_workers(world.pool()), 2u);
  world.advance(1s);
  world.exited(world.worker(1));
  world.expect({"start p/1"});
  const WorkerRef worker = world.started(1);
  world.expect({});
  world.turn(WorkerHello{worker});
  world.expect({"stop p/0.1"});
  world.exited(world.worker(0));
  world.ready(0);
  // All are new, and the one that stood in goes.
  world.expect({"start p/0", "stop p/2.1"});
  world.exited(world.worker(2));
  EXPECT_FALSE(world.pool().recycling);
  EXPECT_EQ(world.worker(0).generation, 2u);
  EXPECT_EQ(world.worker(1).generation, 2u);
  EXPECT_EQ(world.pool().slots.size(), 2u);
}

TEST(Recycle, AnIdleWorkerGoesFirstAndTheBusyOneFinishes) {
  World world(2);
  world.submit();  // on slot 1
  world.forget();
  world.turn(RecyclePool{0});
  world.ready(2);
  world.expect({"start p/2", "stop p/0.1"});
  world.exited(world.worker(0));
  world.ready(0);
  world.expect({"start p/0", "stop p/1.1"});
  world.submit();
  world.expect({"2 accepted", "2 -> p/2.1"});
  world.finish(1);
  world.exited(world.worker(1));
  world.ready(1);
  // The one that stood in finishes, too.
  world.expect({"1 SUCCEEDED RETURNED", "start p/1", "stop p/2.1"});
  world.finish(2);
  world.exited(world.worker(2));
  world.expect({"2 SUCCEEDED RETURNED"});
}

TEST(Recycle, WaitsUntilALostWorkerIsBack) {
  World world(2);
  world.killed(world.worker(0));
  world.turn(RecyclePool{0});
  world.expect({"start p/0"});
  world.ready(0);
  world.expect({"start p/2"});
  world.ready(2);
  world.expect({"stop p/1.1"});
  world.exited(world.worker(1));
  world.ready(1);
  // Its start was under way when the wish came; nobody knows what it has seen, so it is replaced too.
  world.expect({"start p/1", "stop p/0.2"});
}

TEST(Recycle, AWorkerThatDiesMeanwhileIsNotReplacedTwice) {
  World world(2);
  world.turn(RecyclePool{0});
  world.ready(2);
  world.killed(world.worker(0));
  world.exited(world.worker(1));
  world.expect({"start p/2", "stop p/1.1", "start p/0", "start p/1"});
  world.ready(0);
  world.ready(1);
  world.expect({"stop p/2.1"});
  EXPECT_FALSE(world.pool().recycling);
}

TEST(Recycle, AProgramThatDoesNotStartCostsNoWorker) {
  World world(2);
  PoolSettings settings = pool_settings("p", 2);
  settings.program = "broken";
  world.turn(Configure{{settings}});
  world.expect({"start p/2"});
  world.start_failed(2);
  world.forget();
  EXPECT_EQ(ready_workers(world.pool()), 2u);
}

TEST(Recycle, OfAPoolWithoutWorkersIsDoneAtOnce) {
  World world(0);
  world.turn(RecyclePool{0});
  world.expect({});
  EXPECT_FALSE(world.pool().recycling);
}

TEST(Recycle, AWorkerToldToGoGetsNoTaskInTheSameTurn) {
  World world(1);
  Submit event = task();
  event.id = world.id(1);
  world.turn(RecyclePool{0});
  const WorkerRef fresh = world.started(1);
  world.forget();
  world.turn(WorkerHello{fresh}, std::move(event));
  world.expect({"stop p/0.1", "1 accepted", "1 -> p/1.1"});
}

TEST(Reload, ThatChangesTheProgramRecycles) {
  World world(1);
  PoolSettings settings = pool_settings("p", 1);
  settings.program = "another";
  world.turn(Configure{{settings}});
  world.ready(1);
  world.expect({"start p/1", "stop p/0.1"});
}

TEST(Reload, ThatChangesNothingDoesNothing) {
  World world(2);
  world.turn(Configure{{pool_settings("p", 2)}});
  world.expect({});
}

TEST(Reload, KeepsTheSizeAnOperatorAskedForUntilTheFileNamesAnother) {
  World world(1);
  world.turn(ScalePool{0, 2});
  world.ready_all();
  world.forget();
  world.turn(Configure{{pool_settings("p", 1)}});
  world.expect({});
  world.turn(Configure{{pool_settings("p", 3)}});
  world.expect({"start p/2"});
}

TEST(Reload, AddsAPool) {
  World world(1);
  world.turn(Configure{{pool_settings("p"), pool_settings("q")}});
  world.expect({"start q/0"});
  ASSERT_NE(world.core.find_pool("q"), nullptr);
  EXPECT_EQ(world.core.find_pool("q"), &world.pool(1));
  EXPECT_EQ(world.core.find_pool("r"), nullptr);
}

TEST(RemovedPool, RunsItsQueueDownAndRefuses) {
  World world(2);
  world.submit_many(3);
  world.forget();
  world.turn(Configure{{}});
  world.expect({});
  EXPECT_EQ(state_of(world.pool()), PoolState::draining);
  world.submit();
  world.expect({"refused: POOL_REMOVED"});
  world.finish(1);
  world.finish(2);
  world.expect({"1 SUCCEEDED RETURNED", "3 -> p/1.1", "2 SUCCEEDED RETURNED"});
  world.finish(3);
  world.expect({"stop p/0.1", "stop p/1.1", "3 SUCCEEDED RETURNED"});
  world.exited(world.worker(0));
  world.exited(world.worker(1));
  world.expect({});
  EXPECT_EQ(live_processes(world.pool()), 0u);
}

TEST(RemovedPool, ItsLostWorkersAreReplacedWhileThereIsWork) {
  World world(1);
  world.submit();
  world.turn(Configure{{}});
  world.killed(world.worker(0), 11);
  world.forget();
  world.ready(0);
  world.finish(1);
  world.expect({"1 -> p/0.2", "stop p/0.2", "1 SUCCEEDED RETURNED attempt 2"});
}

TEST(RemovedPool, AStartingWorkerThatNobodyNeedsIsNoFailure) {
  World world({pool_settings()});
  world.started(0);
  world.forget();
  world.turn(Configure{{}});
  world.expect({"condemned p/0.1: it is not needed any more", "kill p/0.1"});
  world.killed(world.worker(0));
  world.expect({});
}

TEST(RemovedPool, AddedAgainIsTheSamePool) {
  World world(1);
  world.turn(Configure{{}});
  world.exited(world.worker(0));
  world.expect({"stop p/0.1"});
  world.turn(Configure{{pool_settings("p", 2)}});
  world.expect({"start p/0", "start p/1"});
  world.ready_all();
  world.submit();
  world.expect({"1 accepted", "1 -> p/1.1"});
  EXPECT_EQ(world.core.state().pools.size(), 1u);
}

TEST(RemovedPool, AddedAgainIsAsTheFileSays) {
  World world(1);
  world.turn(ScalePool{0, 2}, PausePool{0}, DrainPool{0});
  world.turn(Configure{{}});
  world.turn(Configure{{pool_settings("p", 1)}});
  EXPECT_EQ(world.pool().size, 1u);
  EXPECT_FALSE(world.pool().paused || world.pool().draining || world.pool().removed);
  world.forget();
}

TEST(RemovedPool, AddedAgainWhileItsWorkerIsOnItsWay) {
  World world(1);
  world.turn(Configure{{}});
  world.turn(Configure{{pool_settings()}});
  world.expect({"stop p/0.1"});
  world.exited(world.worker(0));
  world.expect({"start p/0"});
}

}  // namespace
}  // namespace poold::core
