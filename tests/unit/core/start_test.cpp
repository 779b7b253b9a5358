// Processes that do not come, or do not stay: the throttle.
#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

World unstarted(std::uint32_t workers) { return World({pool_settings("p", workers)}); }

TEST(Start, EverySlotIsFilledOnce) {
  World world = unstarted(2);
  world.expect({"start p/0", "start p/1"});
  world.submit();
  world.expect({"1 accepted"});
  EXPECT_EQ(state_of(world.pool()), PoolState::starting);
  const WorkerRef worker = world.started(0);
  world.expect({});
  EXPECT_EQ(world.slot(0).state, WorkerState::starting);
  world.turn(WorkerHello{worker});
  world.expect({"1 -> p/0.1"});
  EXPECT_EQ(state_of(world.pool()), PoolState::ready);
  EXPECT_EQ(ready_workers(world.pool()), 1u);
  EXPECT_EQ(busy_workers(world.pool()), 1u);
  EXPECT_EQ(live_processes(world.pool()), 2u);
}

TEST(Start, ADeadWorkerIsReplacedAtOnce) {
  World world(1);
  world.killed(world.worker(0));
  world.expect({"start p/0"});
  EXPECT_EQ(world.pool().counters.workers_lost, 1u);
  EXPECT_EQ(world.ready(0).generation, 2u);
  world.expect({});
}

TEST(Start, AWorkerThatSaysNothingIsKilledAndThrottles) {
  World world = unstarted(1);
  world.started(0);
  world.forget();
  world.advance(30s - 1ns);
  world.expect({});
  world.advance(1ns);
  world.expect({"condemned p/0.1: it did not say hello in time", "kill p/0.1"});
  world.killed(world.worker(0));
  world.expect({"throttled p for 100ms"});
  EXPECT_EQ(world.pool().start_failure.message, "ended before its hello, by signal 9");
  EXPECT_EQ(state_of(world.pool()), PoolState::throttled);
  world.advance(100ms);
  world.expect({"start p/0"});
}

TEST(Start, AWorkerThatSaidWhyItCannotWorkIsQuoted) {
  World world = unstarted(1);
  const WorkerRef worker = world.started(0);
  world.forget();
  world.turn(WorkerExited{worker, false, 1, "cannot import 'tasks'"});
  world.expect({"throttled p for 100ms"});
  EXPECT_EQ(world.pool().start_failure.message, "cannot import 'tasks'");
}

TEST(Start, WhatAWorkerSaidCountsOnlyWhereItNeverWorked) {
  World world(1);
  const Sequence number = world.submit();
  world.finish(number);
  world.forget();
  world.turn(WorkerExited{world.worker(0), false, 1, "the program speaks no protocol"});
  world.expect({"start p/0"});
  EXPECT_EQ(world.pool().start_failure.message, "");
}

TEST(Throttle, OneThatTriesAndSaysNothingMakesItLonger) {
  World world = unstarted(1);
  world.start_failed(0);
  world.advance(100ms);
  world.started(0);
  world.forget();
  world.advance(30s);
  world.expect({"condemned p/0.1: it did not say hello in time", "kill p/0.1"});
  world.killed(world.worker(0));
  world.expect({"throttled p for 200ms"});
}

TEST(Start, AHelloJustTooLateComesFromACondemnedWorker) {
  World world = unstarted(1);
  world.started(0);
  world.advance(30s);
  world.forget();
  world.turn(WorkerHello{world.worker(0)});
  world.submit();
  world.expect({"1 accepted"});
}

TEST(Throttle, TheDelayGrowsUpToThirtySeconds) {
  World world = unstarted(1);
  world.forget();
  for (const auto delay :
       {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 12800ms, 25600ms, 30000ms, 30000ms}) {
    world.start_failed(0);
    world.expect({"throttled p for " + std::to_string(delay.count()) + "ms"});
    world.advance(delay - 1ns);
    world.expect({});
    world.advance(1ns);
    world.expect({"start p/0"});
  }
  EXPECT_EQ(world.pool().start_failures, 11u);
  EXPECT_EQ(world.pool().start_failure.errno_value, 2);
  EXPECT_EQ(world.pool().start_failure.path, "/no/such/program");
}

TEST(Throttle, SlotsThatFailTogetherCountOnce) {
  World world = unstarted(4);
  world.forget();
  for (std::uint32_t slot = 0; slot < 4; ++slot) world.start_failed(slot);
  world.expect({"throttled p for 100ms"});
  EXPECT_EQ(world.pool().start_failures, 1u);
}

TEST(Throttle, OneAtATimeTriesWhetherItWorksAgain) {
  World world = unstarted(3);
  world.forget();
  for (std::uint32_t slot = 0; slot < 3; ++slot) world.start_failed(slot);
  world.forget();
  world.advance(100ms);
  world.expect({"start p/0"});
  world.advance(1h);
  world.expect({});
  world.start_failed(0);
  world.expect({"throttled p for 200ms"});
}

TEST(Throttle, AHelloHealsAndTheOtherSlotsAreFilled) {
  World world = unstarted(3);
  for (std::uint32_t slot = 0; slot < 3; ++slot) world.start_failed(slot);
  world.advance(100ms);
  world.forget();
  const WorkerRef worker = world.started(0);
  world.expect({});
  world.turn(WorkerHello{worker});
  world.expect({"healed p", "start p/1", "start p/2"});
  EXPECT_EQ(state_of(world.pool()), PoolState::ready);
  EXPECT_EQ(world.pool().start_failure.errno_value, 0);
}

TEST(Throttle, AReloadTriesAtOnce) {
  World world = unstarted(2);
  for (int failures = 0; failures < 3; ++failures) {
    world.start_failed(0);
    if (failures == 0) world.start_failed(1);
    world.advance(30s);
  }
  world.start_failed(0);
  world.forget();
  world.turn(Configure{{pool_settings("p", 2)}});
  world.expect({"start p/0"});
  world.start_failed(0);
  world.expect({"throttled p for 1600ms"});
  // Timers of throttles that are over start nothing too early.
  world.advance(1599ms);
  world.expect({});
  world.advance(1ms);
  world.expect({"start p/0"});
}

TEST(Throttle, AnIdleWorkerThatIsKilledDoesNotThrottle) {
  World world(1);
  for (const int signal : {9, 15}) {
    world.killed(world.worker(0), signal);
    world.ready(0);
    world.expect({"start p/0"});
  }
}

TEST(Throttle, AWorkerKilledBeforeItsHelloDoes) {
  World world = unstarted(1);
  world.killed(world.started(0));
  world.expect({"start p/0", "throttled p for 100ms"});
}

TEST(Throttle, AWorkerThatExitsRightAfterItsHelloDoes) {
  World world(1);
  world.exited(world.worker(0), 1);
  world.expect({"throttled p for 100ms"});
  EXPECT_EQ(world.pool().start_failure.message, "ended right after its start, with exit code 1");
}

TEST(Throttle, GrowsWhileWorkersSayHelloAndExit) {
  World world(1);
  for (const auto delay : {100ms, 200ms, 400ms, 800ms}) {
    world.exited(world.worker(0), 1);
    world.expect({"throttled p for " + std::to_string(delay.count()) + "ms"});
    world.advance(delay);
    world.ready(0);
    world.expect({"start p/0", "healed p"});
  }
  // One task done is proof that workers work.
  world.submit();
  world.finish(1);
  world.forget();
  world.killed(world.worker(0));
  world.ready(0);
  world.exited(world.worker(0), 1);
  world.expect({"start p/0", "throttled p for 100ms"});
}

TEST(Throttle, AWorkerThatBreaksTheProtocolRightAfterItsHelloDoes) {
  World world(1);
  world.turn(WorkerHello{world.worker(0)});
  world.killed(world.worker(0));
  world.expect({"condemned p/0.1: it said hello twice", "kill p/0.1", "throttled p for 100ms"});
  EXPECT_EQ(world.pool().counters.workers_lost, 1u);
}

TEST(Throttle, AWorkerThatHasLivedAWhileMayExit) {
  World world(1);
  world.advance(1s);
  world.exited(world.worker(0), 1);
  world.expect({"start p/0"});
}

TEST(Throttle, AWorkerThatHasFinishedATaskMayExit) {
  World world(1);
  world.submit();
  world.finish(1);
  world.forget();
  world.exited(world.worker(0), 0);
  world.expect({"start p/0"});
}

TEST(Throttle, ACrashingFunctionDoesNot) {
  World world(1);
  world.submit();
  world.forget();
  world.killed(world.worker(0), 11);
  world.expect({"start p/0", "1 again after WORKER_LOST"});
}

TEST(Throttle, ReadyWorkersGoOnWhileASlotCannotBeFilled) {
  World world(2);
  world.killed(world.worker(0));
  world.start_failed(0);
  world.forget();
  world.submit();
  world.expect({"1 accepted", "1 -> p/1.1"});
}

TEST(Throttle, EndsWhenTheSlotThatFailsIsGivenUp) {
  World world(1);
  world.turn(ScalePool{0, 2});
  world.start_failed(1);
  world.expect({"start p/1", "throttled p for 100ms"});
  world.turn(ScalePool{0, 1});
  world.expect({"healed p"});
  EXPECT_EQ(state_of(world.pool()), PoolState::ready);
}

}  // namespace
}  // namespace poold::core
