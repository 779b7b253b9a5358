// What operators ask of a pool while it runs: pause, drain, another size.
#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

TEST(Pause, NothingStartsAndWhatRunsGoesOn) {
  World world(1);
  world.submit();
  world.turn(PausePool{0});
  world.submit();
  world.expect({"1 accepted", "1 -> p/0.1", "2 accepted"});
  EXPECT_EQ(state_of(world.pool()), PoolState::paused);
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED"});
  world.turn(ResumePool{0});
  world.expect({"2 -> p/0.1"});
  EXPECT_EQ(state_of(world.pool()), PoolState::ready);
}

TEST(Pause, WhatWasSentAheadComesBackInOrder) {
  World world(1);
  world.make_tasks_short();
  const Sequence first = world.submit_many(4);
  const std::string a = std::to_string(first), b = std::to_string(first + 1), c = std::to_string(first + 2),
                    d = std::to_string(first + 3);
  world.forget();
  world.turn(PausePool{0});
  world.expect({"return p/0.1: " + b + " " + c + " " + d});
  // It had started b meanwhile.
  world.finish(first);
  world.returned(world.worker(0), {first + 2, first + 3});
  world.expect({a + " SUCCEEDED RETURNED", d + " back", c + " back"});
  EXPECT_EQ(world.queued(), (std::vector<Sequence>{first + 2, first + 3}));
  EXPECT_EQ(world.find(first + 2)->attempt, 0u);
  EXPECT_EQ(world.held(0), std::vector<Sequence>{first + 1});
  world.turn(ResumePool{0});
  world.expect({c + " -> p/0.1", d + " -> p/0.1"});
}

TEST(Pause, WorkersAreStillReplaced) {
  World world(1);
  world.turn(PausePool{0});
  world.killed(world.worker(0));
  world.expect({"start p/0"});
}

TEST(Drain, RefusesAndRunsWhatItHas) {
  World world(1);
  world.submit();
  world.submit();
  world.turn(DrainPool{0});
  world.forget();
  EXPECT_EQ(state_of(world.pool()), PoolState::draining);
  world.submit();
  world.finish(1);
  world.finish(2);
  world.expect({"refused: POOL_DRAINING", "1 SUCCEEDED RETURNED", "2 -> p/0.1", "2 SUCCEEDED RETURNED"});
  world.turn(ResumePool{0});
  world.submit();
  world.expect({"4 accepted", "4 -> p/0.1"});
}

TEST(Scale, UpStartsWorkers) {
  World world(1);
  world.turn(ScalePool{0, 3});
  world.expect({"start p/1", "start p/2"});
  EXPECT_EQ(world.pool().size, 3u);
}

TEST(Scale, DownLetsBusyWorkersFinishAndTheTailVanishes) {
  World world(3);
  world.submit_many(3);  // on slots 2, 1, 0
  world.finish(3);
  world.forget();
  world.turn(ScalePool{0, 1});
  world.expect({"stop p/1.1", "stop p/2.1"});
  world.submit_many(2);
  world.expect({"4 accepted", "5 accepted", "4 -> p/0.1"});
  world.finish(2);
  world.exited(world.worker(1));
  world.expect({"2 SUCCEEDED RETURNED"});
  EXPECT_EQ(world.pool().slots.size(), 3u) << "slot 2 still runs";
  world.finish(1);
  world.exited(world.worker(2));
  world.expect({"1 SUCCEEDED RETURNED"});
  EXPECT_EQ(world.pool().slots.size(), 1u);
  EXPECT_EQ(world.pool().counters.workers_lost, 0u);
}

TEST(Scale, DownNeverSendsATaskToAWorkerThatIsToldToGo) {
  World world(2);
  world.turn(PausePool{0});
  world.submit_many(2);
  world.forget();
  // All in one turn: what is told to workers now comes before what is promised.
  world.turn(ResumePool{0}, ScalePool{0, 1});
  world.expect({"stop p/1.1", "1 -> p/0.1"});
}

TEST(Scale, ToNothingAndBack) {
  World world(2);
  world.turn(ScalePool{0, 0});
  world.expect({"stop p/0.1", "stop p/1.1"});
  world.exited(world.worker(1));
  world.exited(world.worker(0));
  EXPECT_TRUE(world.pool().slots.empty());
  world.submit();
  world.advance(1h);
  world.expect({"1 accepted"});
  world.turn(ScalePool{0, 1});
  world.ready(0);
  world.expect({"start p/0", "1 -> p/0.2"});
}

TEST(Scale, BackWhileAWorkerIsOnItsWay) {
  World world(2);
  world.turn(ScalePool{0, 1});
  world.turn(ScalePool{0, 2});
  world.expect({"stop p/1.1"});
  world.exited(world.worker(1));
  world.expect({"start p/1"});
}

TEST(Scale, DownWhileAStartIsOutstanding) {
  World world({pool_settings("p", 2)});
  world.turn(ScalePool{0, 0});
  world.expect({"start p/0", "start p/1"});
  world.start_failed(1);
  EXPECT_EQ(world.pool().slots.size(), 1u);
  world.forget();
  world.started(0);
  world.expect({"condemned p/0.1: it is not needed any more", "kill p/0.1"});
  world.killed(world.worker(0));
  world.expect({});
  EXPECT_TRUE(world.pool().slots.empty());
}

TEST(Scale, DownWhileAWorkerStarts) {
  World world({pool_settings("p", 1)});
  world.started(0);
  world.forget();
  world.turn(ScalePool{0, 0});
  world.expect({"condemned p/0.1: it is not needed any more", "kill p/0.1"});
  world.turn(ScalePool{0, 1});
  world.killed(world.worker(0));
  world.expect({"start p/0"});  // that it came to no hello was no failure
}

TEST(Scale, EmptySlotsOfAThrottledPoolVanishAtOnce) {
  World world({pool_settings("p", 3)});
  for (std::uint32_t slot = 0; slot < 3; ++slot) world.start_failed(slot);
  world.forget();
  world.turn(ScalePool{0, 1});
  EXPECT_EQ(world.pool().slots.size(), 1u);
  world.advance(100ms);
  world.expect({"start p/0"});
}

TEST(Scale, ManyTimesWithoutWorkGathersNothing) {
  World world(2);
  for (int i = 0; i < 50; ++i) {
    world.turn(ScalePool{0, 1});
    world.exited(world.worker(1));
    world.turn(ScalePool{0, 2});
    world.ready(1);
  }
  world.forget();
  EXPECT_LE(world.pool().idle.size(), 2u);
}

TEST(Retire, AWorkerThatDoesNotExitIsKilled) {
  World world(1);
  world.turn(ScalePool{0, 0});
  world.forget();
  world.advance(4999ms);
  world.expect({});
  world.advance(1ms);
  world.expect({"condemned p/0.1: it should have exited by now", "kill p/0.1"});
}

TEST(Retire, ABusyWorkerHasAllTheTimeOfItsTask) {
  World world(1);
  world.submit();
  world.turn(ScalePool{0, 0});
  world.forget();
  world.advance(24h);
  world.expect({});
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED"});
  // It cannot gain time by talking.
  world.advance(4s);
  for (int i = 0; i < 10; ++i) world.returned(world.worker(0), {});
  EXPECT_LE(world.core.state().timers.size(), 2u);
  world.advance(1s);
  world.expect({"condemned p/0.1: it should have exited by now", "kill p/0.1"});
}

TEST(Retire, WithoutAGraceAWorkerStillHasTimeToExit) {
  PoolSettings settings = pool_settings();
  settings.grace = 0s;
  World world({settings});
  world.ready(0);
  world.turn(ScalePool{0, 0});
  world.forget();
  world.advance(1s);
  world.expect({});
}

}  // namespace
}  // namespace poold::core
