// The end of everything: StopAll.
#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

TEST(StopAll, OfAnIdleDaemonStopsItsWorkers) {
  World world(2);
  world.turn(StopAll{30s});
  world.expect({"stop p/0.1", "stop p/1.1"});
  world.exited(world.worker(0));
  world.expect({});
  world.exited(world.worker(1));
  world.expect({"stop complete"});
  world.advance(1h);
  world.turn(StopAll{0s});
  world.advance(1h);
  world.expect({});
}

TEST(StopAll, WithoutAnyWorkerIsCompleteAtOnce) {
  World world(0);
  world.turn(StopAll{30s});
  world.expect({"stop complete"});
}

TEST(StopAll, EndsTheQueueAndRefusesAndLetsRunningTasksFinish) {
  World world(1);
  world.submit_many(3);
  world.forget();
  world.turn(StopAll{30s});
  world.expect({"stop p/0.1", "2 CANCELLED", "3 CANCELLED"});
  world.submit();
  world.expect({"refused: STOPPING"});
  world.advance(29s);
  world.finish(1);
  world.exited(world.worker(0));
  world.expect({"1 SUCCEEDED RETURNED", "stop complete"});
}

TEST(StopAll, WhatWasSentAheadComesBackAndIsCancelled) {
  World world(1);
  world.make_tasks_short();
  const Sequence first = world.submit_many(3);
  const std::string a = std::to_string(first), b = std::to_string(first + 1), c = std::to_string(first + 2);
  world.forget();
  world.turn(StopAll{30s});
  world.expect({"return p/0.1: " + b + " " + c, "stop p/0.1"});
  world.returned(world.worker(0), {first + 1, first + 2});
  world.expect({c + " CANCELLED", b + " CANCELLED"});
  world.finish(first);
  world.exited(world.worker(0));
  world.expect({a + " SUCCEEDED RETURNED", "stop complete"});
}

TEST(StopAll, TheTimeOutCancelsWhatStillRuns) {
  World world(1);
  world.submit();
  world.turn(StopAll{30s});
  world.forget();
  world.advance(30s);
  world.expect({"cancel 1 on p/0.1"});
  world.advance(2s);
  world.expect({"condemned p/0.1: its task was cancelled and did not end in time", "kill p/0.1"});
  world.killed(world.worker(0));
  world.expect({"stop complete", "1 CANCELLED by signal 9"});
}

TEST(StopAll, ASecondOneWithoutPatienceCancelsAtOnce) {
  World world(1);
  world.submit();
  world.turn(StopAll{30s});
  world.forget();
  world.turn(StopAll{0s});
  world.advance(0s);
  world.expect({"cancel 1 on p/0.1"});
  world.finish(1, OutcomeKind::cancelled);
  world.exited(world.worker(0));
  world.expect({"1 CANCELLED", "stop complete"});
}

TEST(StopAll, AnAttemptLostMeanwhileIsNotRepeated) {
  World world(2);
  Submit event = task();
  event.attempts_max = 5;
  world.submit(std::move(event));
  world.submit();
  world.turn(StopAll{30s});
  world.forget();
  world.killed(world.worker(0), 11);
  world.finish(1, OutcomeKind::raised);
  world.expect({"2 FAILED WORKER_LOST by signal 11", "1 FAILED RAISED"});
  world.exited(world.worker(1));
  world.expect({"stop complete"});
}

TEST(StopAll, AStartingWorkerIsEnded) {
  World world({pool_settings()});
  world.started(0);
  world.forget();
  world.turn(StopAll{30s});
  world.expect({"condemned p/0.1: the daemon stops", "kill p/0.1"});
  world.killed(world.worker(0));
  world.expect({"stop complete"});
}

TEST(StopAll, WaitsForStartsThatAreUnderWay) {
  World world({pool_settings("p", 2)});
  world.forget();
  world.turn(StopAll{30s});
  world.expect({});
  world.start_failed(0);
  world.expect({});
  world.started(1);
  world.expect({"condemned p/1.1: it is not needed any more", "kill p/1.1"});
  world.killed(world.worker(1));
  world.expect({"stop complete"});
}

TEST(StopAll, AnIdleWorkerThatDoesNotExitIsKilled) {
  World world(1);
  world.turn(StopAll{30s});
  world.forget();
  world.advance(5s);
  world.expect({"condemned p/0.1: it should have exited by now", "kill p/0.1"});
}

TEST(StopAll, OfAThrottledAndOfAPausedPool) {
  World world({pool_settings("a"), pool_settings("b")});
  world.start_failed(0, 0);
  world.ready(0, 1);
  world.turn(PausePool{1});
  Submit event = task();
  event.pool = 1;
  world.submit();
  world.submit(std::move(event));
  world.forget();
  world.turn(StopAll{30s});
  world.expect({"stop b/0.1", "1 CANCELLED", "2 CANCELLED"});
  world.exited(world.worker(0, 1));
  world.expect({"stop complete"});
  world.advance(1h);
  world.expect({});
}

TEST(StopAll, AReloadMeanwhileStartsNothing) {
  World world(1);
  world.turn(StopAll{30s});
  world.turn(Configure{{pool_settings("p", 3), pool_settings("q")}});
  world.turn(ScalePool{0, 4});
  world.exited(world.worker(0));
  world.expect({"stop p/0.1", "stop complete"});
}

}  // namespace
}  // namespace poold::core
