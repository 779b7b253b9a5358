// Tasks sent ahead: when, how many, and how they come back.
#include "daemon/core/window.hpp"

#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

TEST(Window, NothingIsSentAheadBeforeTasksProveShort) {
  World world(1);
  world.submit_many(2000);
  EXPECT_EQ(world.held(0).size(), 1u);
  EXPECT_EQ(window(world.pool()), 1u);
  world.forget();
}

TEST(Window, GrowsTo1024ForTinyTasks) {
  World world(1);
  world.make_tasks_short();
  EXPECT_EQ(window(world.pool()), window_max);
  world.submit_many(3000);
  EXPECT_EQ(world.held(0).size(), 1024u);
  EXPECT_EQ(world.queued().size(), 3000u - 1024u);
  world.forget();
}

TEST(Window, IsAsLongAsOneMillisecondOfWork) {
  Pool pool;
  for (const auto& [run_time, size] : {std::pair<Duration, std::uint32_t>{1s, 1},
                                       {1ms, 2},
                                       {100us, 11},
                                       {1us, 1001},
                                       {0ns, 1024},
                                       {1100us, 1}}) {
    pool.run_time = run_time;
    EXPECT_EQ(window(pool), size) << run_time.count() << " ns";
  }
}

TEST(Window, OfADurablePoolHidesItsCommits) {
  Pool pool;
  pool.settings.durable = true;
  for (const auto& [run_time, size] :
       {std::pair<Duration, std::uint32_t>{10ms, 1}, {2ms, 3}, {1ms, 6}, {1us, 1024}}) {
    pool.run_time = run_time;
    EXPECT_EQ(window(pool), size) << run_time.count() << " ns";
  }
}

TEST(Window, FewTasksAreSpreadEvenly) {
  World world(2);
  world.make_tasks_short();
  world.submit_many(7);
  EXPECT_EQ(world.held(0).size() + world.held(1).size(), 7u);
  EXPECT_GE(world.held(0).size(), 3u);
  EXPECT_GE(world.held(1).size(), 3u);
  world.forget();
}

TEST(Window, ClosesAfterALongTask) {
  World world(1);
  world.make_tasks_short();
  const Sequence number = world.submit();
  world.advance(1s);
  world.finish(number);
  EXPECT_EQ(window(world.pool()), 1u);
  world.forget();
}

TEST(Window, OpensAsFastAfterADayLongTaskAsAfterASecond) {
  World world(1);
  const Sequence number = world.submit();
  world.advance(24h);
  world.finish(number);
  world.make_tasks_short();
  EXPECT_EQ(window(world.pool()), window_max);
}

TEST(Window, WhatTookTheTimeOfAllIsNotChargedToOne) {
  World world(1);
  world.make_tasks_short();
  // 100 tasks of 10 us each, whose results come in one turn.
  const Sequence first = world.submit_many(100);
  world.advance(1ms);
  for (Sequence number = first; number < first + 100; ++number) world.finish(number);
  EXPECT_GT(window(world.pool()), 2u);
  world.forget();
}

TEST(TakeBack, AfterFiveMillisecondsAndAnotherWorkerGetsThem) {
  World world(2);
  world.make_tasks_short();
  const Sequence first = world.submit_many(4);
  // Slot 1 was used last and gets the first; its first task turns out long.
  EXPECT_EQ(world.held(1), (std::vector<Sequence>{first, first + 3}));
  EXPECT_EQ(world.held(0), (std::vector<Sequence>{first + 1, first + 2}));
  world.finish(first + 1);
  world.finish(first + 2);
  world.forget();
  world.advance(5ms - 1ns);
  world.expect({});
  world.advance(1ns);
  const std::string last = std::to_string(first + 3);
  world.expect({"return p/1.1: " + last});
  world.returned(world.worker(1), {first + 3});
  world.expect({last + " back", last + " -> p/0.1"});
  EXPECT_EQ(world.find(first + 3)->attempt, 1u);
  EXPECT_EQ(world.find(first + 3)->crashes, 0u);
}

TEST(TakeBack, NothingIsSentBehindATaskThatRunsLong) {
  World world(2);
  world.make_tasks_short();
  const Sequence slow = world.submit();  // on slot 1
  ASSERT_EQ(world.held(1), std::vector<Sequence>{slow});
  world.advance(1s);
  // Slot 0 shows that tasks are short.
  for (int i = 0; i < 400; ++i) world.finish(world.submit());
  world.forget();
  world.submit_many(100);
  EXPECT_EQ(world.held(1), std::vector<Sequence>{slow});
  EXPECT_EQ(world.held(0).size(), 50u + 1) << "half of all that there is to run";
  world.forget();
}

TEST(TakeBack, IsTriedOnceAndTheWindowStaysClosed) {
  World world(1);
  world.make_tasks_short();
  world.submit_many(3);
  world.advance(5ms);
  world.forget();
  world.submit();
  world.advance(1h);
  world.expect({"404 accepted"});
  EXPECT_EQ(window(world.pool()), 1u);
}

TEST(TakeBack, AWorkerThatDoesNotAnswerGetsOneAtATime) {
  World world(1);
  world.make_tasks_short();
  const Sequence first = world.submit_many(2);
  world.advance(1h);
  ASSERT_TRUE(world.slot(0).return_pending);
  world.finish(first);
  world.finish(first + 1);
  world.make_tasks_short();
  EXPECT_EQ(window(world.pool()), window_max);
  world.submit_many(3);
  EXPECT_EQ(world.held(0).size(), 1u);
  // Its successor is another process.
  world.killed(world.worker(0));
  world.ready(0);
  EXPECT_EQ(world.held(0).size(), 3u);
  world.forget();
}

TEST(Window, AWorkerThatAskedForItGetsOneAtATimeForEver) {
  World world({pool_settings("p", 1)});
  world.turn(WorkerHello{world.started(0), true});
  world.make_tasks_short();
  EXPECT_EQ(window(world.pool()), window_max);
  const Sequence first = world.submit_many(3);
  world.advance(1h);
  EXPECT_EQ(world.held(0).size(), 1u);
  world.finish(first);
  EXPECT_EQ(world.held(0).size(), 1u);
  world.forget();
}

// Asks the only worker for a task back; it gives it back after `answer_time`, and everything is finished.
void ask_for_one(World& world, Duration answer_time) {
  world.make_tasks_short();
  const Sequence first = world.submit_many(2);
  ASSERT_EQ(world.held(0).size(), 2u) << "nothing was sent ahead";
  world.turn(PausePool{0}, ResumePool{0});
  world.advance(answer_time);
  world.returned(world.worker(0), {first + 1});
  world.finish(first);
  world.finish(first + 1);
  world.make_tasks_short();
  world.forget();
}

std::size_t held_of_three(World& world) {
  const Sequence first = world.submit_many(3);
  const std::size_t held = world.held(0).size();
  for (Sequence task = first; task < first + 3; ++task) world.finish(task);
  world.forget();
  return held;
}

TEST(TakeBack, AWorkerThatAnswersInTimeKeepsItsWindow) {
  World world(1);
  ask_for_one(world, return_patience - 1ns);
  EXPECT_EQ(held_of_three(world), 3u);
}

TEST(TakeBack, AWorkerThatAnswersLateGetsOneAtATimeForTenTimesAsLong) {
  for (const Duration answer_time : {Duration(return_patience), Duration(1s), Duration(1min)}) {
    World world(1);
    ask_for_one(world, answer_time);
    EXPECT_EQ(held_of_three(world), 1u);
    world.advance(10 * answer_time - 1ns);
    EXPECT_EQ(held_of_three(world), 1u);
    world.advance(1ns);
    EXPECT_EQ(held_of_three(world), 3u);
  }
}

TEST(TakeBack, NothingMoreIsSentBeforeTheAnswer) {
  World world(1);
  world.make_tasks_short();
  const Sequence first = world.submit_many(3);
  world.turn(PausePool{0}, ResumePool{0});
  world.submit();
  EXPECT_EQ(world.held(0).size(), 3u);
  world.returned(world.worker(0), {});
  EXPECT_EQ(world.held(0), (std::vector<Sequence>{first, first + 1, first + 2, first + 3}));
  world.forget();
}

TEST(TakeBack, WorksTheSecondTimeToo) {
  World world(1);
  for (int i = 0; i < 2; ++i) {
    world.make_tasks_short();
    const Sequence first = world.submit_many(2);
    world.advance(5ms);
    EXPECT_TRUE(world.slot(0).return_pending);
    world.returned(world.worker(0), {first + 1});
    world.finish(first);
    world.finish(first + 1);
  }
  world.forget();
}

TEST(TakeBack, ACancelledTaskIsNotAskedBackBesides) {
  World world(1);
  world.make_tasks_short();
  const Sequence first = world.submit_many(3);
  world.cancel(first + 1);
  world.forget();
  world.turn(PausePool{0});
  world.expect({"return p/0.1: " + std::to_string(first + 2)});
  world.turn(ResumePool{0});
}

TEST(TakeBack, TheFirstInLineMayHaveStartedAndKeepsRunning) {
  World world(1);
  world.make_tasks_short();
  const Sequence first = world.submit_many(3);
  world.advance(5ms);
  world.finish(first);
  world.returned(world.worker(0), {first + 2});
  EXPECT_EQ(world.held(0), std::vector<Sequence>{first + 1});
  world.finish(first + 1);
  EXPECT_EQ(world.held(0), std::vector<Sequence>{first + 2});
  world.forget();
}

TEST(TakeBack, ATaskNamedTwiceComesBackOnce) {
  World world(1);
  world.make_tasks_short();
  const Sequence first = world.submit_many(2);
  world.advance(5ms);
  world.forget();
  world.returned(world.worker(0), {first + 1, first + 1});
  world.expect({std::to_string(first + 1) + " back"});
  EXPECT_EQ(world.pool().counters.stale, 1u);
}

TEST(TakeBack, TasksOfSeveralWorkersStandInTheirOrderAgain) {
  World world(2);
  world.make_tasks_short();
  const Sequence first = world.submit_many(8);
  world.advance(5ms);
  world.forget();
  const std::vector<Sequence> one = world.held(0), other = world.held(1);
  world.turn(PausePool{0});
  world.returned(world.worker(0), {one.begin() + 1, one.end()});
  world.returned(world.worker(1), {other.begin() + 1, other.end()});
  std::vector<Sequence> expected;
  for (Sequence number = first; number < first + 8; ++number)
    if (number != one.front() && number != other.front()) expected.push_back(number);
  EXPECT_EQ(world.queued(), expected);
  world.forget();
}

TEST(TakeBack, HundredsOfTasksOfSeveralWorkersStandInTheirOrderAgain) {
  World world(3);
  world.make_tasks_short();
  const Sequence first = world.submit_many(600);
  world.advance(5ms);
  world.turn(PausePool{0});
  std::vector<Sequence> running;
  std::size_t given_back = 0;
  for (const std::uint32_t slot : {0u, 1u, 2u}) {
    const std::vector<Sequence> held = world.held(slot);
    ASSERT_FALSE(held.empty());
    running.push_back(held.front());
    given_back += held.size() - 1;
    world.returned(world.worker(slot), {held.begin() + 1, held.end()});
  }
  EXPECT_GT(given_back, 200u);
  std::vector<Sequence> expected;
  for (Sequence number = first; number < first + 600; ++number)
    if (std::ranges::find(running, number) == running.end()) expected.push_back(number);
  EXPECT_EQ(world.queued(), expected);
  world.forget();
}

TEST(TakeBack, IsNotAskedOfACondemnedWorker) {
  World world(1);
  world.make_tasks_short();
  world.submit_many(2);
  world.turn(WorkerHello{world.worker(0)});
  world.forget();
  world.advance(1h);
  world.turn(PausePool{0});
  world.expect({});
}

}  // namespace
}  // namespace poold::core
