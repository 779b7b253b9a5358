// When nothing goes on, nothing wakes the daemon, and nothing that is over leaves a timer behind.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

TEST(Idle, ANewDaemonHasOnlyItsStartsToWaitFor) {
  World world({pool_settings("p", 2)});
  EXPECT_EQ(world.core.next_deadline(), Time::max());
  world.ready_all();
  EXPECT_EQ(world.core.next_deadline(), Time::max()) << "they have said hello";
  world.expect({"start p/0", "start p/1"});
}

TEST(Idle, ACancelledTaskThatEndedInTimeLeavesNothing) {
  World world(1);
  const auto task = world.submit();
  EXPECT_EQ(world.core.next_deadline(), Time::max());
  world.cancel(task);
  EXPECT_LT(world.core.next_deadline(), Time::max()) << "it may not end";
  world.finish(task);
  EXPECT_EQ(world.core.next_deadline(), Time::max());
  world.forget();
}

TEST(Idle, AfterADayOfEverythingItIsQuietAgain) {
  World world(3);
  world.make_tasks_short();
  world.submit_many(100);
  world.advance(20ms);
  world.turn(PausePool{0});
  world.cancel(450);
  world.killed(world.worker(0), 11);
  world.turn(ScalePool{0, 2});
  world.turn(RecyclePool{0}, ResumePool{0});
  world.advance(10s);
  world.ready_all();
  while (busy_workers(world.pool()) > 0)
    for (std::uint32_t slot = 0; slot < world.pool().slots.size(); ++slot)
      if (!world.held(slot).empty()) world.finish(world.held(slot).front());
  for (std::uint32_t slot = 0; slot < 3; ++slot)
    if (slot < world.pool().slots.size() && world.slot(slot).state == WorkerState::retiring)
      world.exited(world.worker(slot));
  world.ready_all();
  EXPECT_LT(world.wake_ups_until_quiet(), 100);
  for (std::uint32_t slot = 0; slot < world.pool().slots.size(); ++slot)
    if (world.slot(slot).state == WorkerState::stopping) world.killed(world.worker(slot));
  world.ready_all();
  EXPECT_LT(world.wake_ups_until_quiet(), 100);
  EXPECT_EQ(world.core.next_deadline(), Time::max());
  EXPECT_TRUE(world.core.state().timers.empty());
  world.forget();
}

TEST(Idle, ALongTaskWakesNobodyUp) {
  World world(1);
  world.make_tasks_short();
  world.submit_many(10);
  world.wake_ups_until_quiet();
  EXPECT_EQ(world.core.next_deadline(), Time::max());
  world.forget();
}

TEST(Idle, AThrottledPoolIsTriedEveryThirtySecondsAndNotMoreOften) {
  World world({pool_settings()});
  for (int failures = 0; failures < 12; ++failures) {
    world.start_failed(0);
    world.advance(30s);
  }
  world.start_failed(0);
  world.forget();
  EXPECT_EQ(world.core.next_deadline(), world.now() + 30s);
  EXPECT_LE(world.core.state().timers.size(), 2u);
}

// Two workers with tiny tasks in batches, as the engine would run them.
TEST(Timers, AMillionTasksLeaveNone) {
#ifdef __SANITIZE_ADDRESS__
  constexpr std::size_t tasks = 100'000;  // which takes as long here
#else
  constexpr std::size_t tasks = 1'000'000;
#endif
  constexpr std::uint32_t batch = 1000;
  World world(2);
  world.make_tasks_short();
  Core& core = world.core;
  Step step;
  Time now = world.now();
  Sequence next = 1000;
  std::size_t timers_max = 0, finished = 0;
  std::vector<Dispatch> dispatched;
  while (finished < tasks) {
    now += 200us;
    if (core.next_deadline() <= now) core.handle(TimePassed{}, now, step);
    for (const Dispatch& dispatch : std::exchange(dispatched, {})) {
      WorkerResult result;
      result.worker = dispatch.worker;
      result.task = dispatch.task;
      result.attempt = 1;
      result.kind = OutcomeKind::returned;
      core.handle(std::move(result), now, step);
      ++finished;
    }
    for (std::uint32_t i = 0; i < batch; ++i) {
      Submit event = task();
      event.id = world.id(++next);
      core.handle(std::move(event), now, step);
    }
    core.schedule(now, step);
    for (const Promise& promise : step.promises)
      if (const auto* dispatch = std::get_if<Dispatch>(&promise)) dispatched.push_back(*dispatch);
    ASSERT_TRUE(std::ranges::none_of(step.now, [](const Effect&) { return true; }))
        << "nobody is asked for anything";
    step.clear();
    timers_max = std::max(timers_max, core.state().timers.size());
  }
  EXPECT_LE(timers_max, 8u);
  EXPECT_EQ(broken_invariant(core.state()), "");
}

}  // namespace
}  // namespace poold::core
