// Processes that go: closed pipes, and news of those long gone. Starts and the throttle are in
// start_test.cpp.
#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

TEST(ClosedPipe, GetsASecondToExit) {
  World world(1);
  world.turn(WorkerBroken{world.worker(0), "closed its results", true});
  world.advance(999ms);
  world.expect({});
  world.advance(1ms);
  world.expect({"condemned p/0.1: it should have exited by now", "kill p/0.1"});
  world.killed(world.worker(0));
  world.expect({"start p/0"});
}

TEST(ClosedPipe, TakesNoTaskAnyMore) {
  World world(1);
  world.turn(WorkerBroken{world.worker(0), "closed its results", true});
  world.submit();
  world.expect({"1 accepted"});
  EXPECT_EQ(ready_workers(world.pool()), 0u);
  world.killed(world.worker(0));
  world.ready(0);
  world.expect({"start p/0", "1 -> p/0.2"});
  EXPECT_EQ(world.find(1)->attempt, 1u);
  EXPECT_EQ(world.pool().counters.workers_lost, 1u);
}

TEST(ClosedPipe, OfAWorkerThatExitsRightAfterItsHelloThrottles) {
  World world(1);
  world.turn(WorkerBroken{world.worker(0), "closed its results", true});
  world.exited(world.worker(0), 1);
  world.expect({"throttled p for 100ms"});
}

TEST(ClosedPipe, OfAWorkerThatRunsATaskLosesIt) {
  World world(1);
  world.submit();
  world.forget();
  world.turn(WorkerBroken{world.worker(0), "closed its results", true});
  world.turn(WorkerBroken{world.worker(0), "closed its results", true});
  world.killed(world.worker(0), 11);
  world.expect({"start p/0", "1 again after WORKER_LOST"});
}

TEST(ClosedPipe, OfAWorkerThatWasToldToGoIsAsItShouldBe) {
  World world(1);
  world.turn(ScalePool{0, 0});
  world.turn(WorkerBroken{world.worker(0), "closed its results", true});
  EXPECT_EQ(world.slot(0).state, WorkerState::retiring);
  world.exited(world.worker(0));
  world.expect({"stop p/0.1"});
  EXPECT_EQ(world.pool().counters.workers_lost, 0u);
}

TEST(ClosedPipe, OfAWorkerThatWasToldToGoAndStaysIsKilled) {
  World world(1);
  world.turn(ScalePool{0, 0});
  world.turn(WorkerBroken{world.worker(0), "closed its results", true});
  world.forget();
  world.advance(1s);
  world.expect({"condemned p/0.1: it should have exited by now", "kill p/0.1"});
}

TEST(ClosedPipe, BeforeTheHelloThrottles) {
  World world({pool_settings()});
  world.started(0);
  world.forget();
  world.turn(WorkerBroken{world.worker(0), "closed its results", true});
  world.advance(1s);
  world.expect({"condemned p/0.1: it should have exited by now", "kill p/0.1"});
  world.killed(world.worker(0));
  world.expect({"throttled p for 100ms"});
}

TEST(Exit, OfAnEarlierGenerationIsIgnored) {
  World world(1);
  world.killed(world.worker(0));
  world.ready(0);
  world.forget();
  world.killed({0, 0, 1});
  world.killed({0, 7, 1});
  world.killed({7, 0, 1});
  world.turn(WorkerHello{{0, 0, 1}});
  world.turn(WorkerBroken{{0, 0, 1}, "late", true});
  world.expect({});
  EXPECT_EQ(world.slot(0).state, WorkerState::idle);
}

}  // namespace
}  // namespace poold::core
