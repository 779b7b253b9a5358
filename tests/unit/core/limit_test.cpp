// How many at once: named limits, rates, the order of the queue and the shares of users.
#include <gtest/gtest.h>

#include "daemon/core/explain.hpp"
#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

Submit limited(const char* name, std::uint32_t tokens = 1, std::int32_t priority = 0) {
  Submit event = task(priority);
  event.options = std::make_unique<TaskOptions>();
  event.options->limits.push_back({name, tokens});
  return event;
}

SetLimit limit(const char* name, std::uint32_t size, Rate rate = {}) { return SetLimit{{name, size, rate}}; }

Submit of_user(std::uint32_t uid) {
  Submit event = task();
  event.uid = uid;
  return event;
}

// In which order these tasks start, one worker running one after the other.
std::vector<Sequence> order(World& world, std::size_t count) {
  std::vector<Sequence> started;
  while (started.size() < count) {
    started.push_back(world.held(0).front());
    world.finish(started.back());
  }
  world.forget();
  return started;
}

TEST(Limits, OneThatNobodyHasSetLetsOneRun) {
  World world(2);
  world.submit(limited("db"));
  world.submit(limited("db"));
  world.submit();
  world.expect({"1 accepted", "1 -> p/1.1", "2 accepted", "3 accepted", "3 -> p/0.1"});
  EXPECT_EQ(world.find(2)->state, TaskState::waiting);
  const auto reasons = explain(world.core.state(), *world.find(2), world.now());
  ASSERT_FALSE(reasons.empty());
  EXPECT_EQ(reasons[0].kind, Reason::Kind::limit);
  EXPECT_EQ(reasons[0].limit, "db");
  EXPECT_EQ(reasons[0].used, 1u);
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED", "2 -> p/1.1"});
  world.finish(2);
  EXPECT_TRUE(world.core.state().limits.empty());
  world.forget();
}

TEST(Limits, TokensComeBackWhoeverDies) {
  World world(2);
  world.submit(limited("db"));
  world.submit(limited("db"));
  world.forget();
  world.killed(world.worker(1));
  // Its own next attempt stands behind the one that waited.
  world.expect({"start p/1", "1 again after WORKER_LOST", "2 -> p/0.1"});
}

TEST(Limits, WhoWantsMuchIsNotPassedByThoseWhoWantLittle) {
  World world(3);
  world.turn(limit("db", 2));
  world.submit(limited("db"));
  world.submit(limited("db", 2));
  world.submit(limited("db"));
  world.expect({"1 accepted", "1 -> p/2.1", "2 accepted", "3 accepted"});
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED", "2 -> p/2.1"});
  world.finish(2);
  world.expect({"2 SUCCEEDED RETURNED", "3 -> p/2.1"});
}

TEST(Limits, ALargerSizeStartsThoseWhoWait) {
  World world(3);
  for (int i = 0; i < 3; ++i) world.submit(limited("db"));
  world.forget();
  world.turn(limit("db", 2));
  world.expect({"2 -> p/1.1"});
  world.turn(limit("db", 0));
  world.finish(1);
  world.finish(2);
  world.expect({"1 SUCCEEDED RETURNED", "2 SUCCEEDED RETURNED"});
  world.turn(RemoveLimit{"db"});
  EXPECT_EQ(world.find(3)->state, TaskState::running);
  world.forget();
}

TEST(Limits, SmallerThanWhatATaskWantsItGetsAll) {
  World world(1);
  world.turn(limit("db", 5));
  world.turn(PausePool{0});
  world.submit(limited("db", 4));
  world.turn(limit("db", 2), ResumePool{0});
  world.expect({"1 accepted", "1 -> p/0.1"});
  EXPECT_EQ(world.core.state().limits.at("db")->used, 2u);
}

TEST(Limits, APausedPoolHoldsNobodyUp) {
  World world({pool_settings("p"), pool_settings("q")});
  world.ready_all();
  world.submit(limited("db"));
  world.submit(limited("db"));
  Submit other = limited("db");
  other.pool = 1;
  world.submit(std::move(other));
  world.turn(PausePool{0});
  world.forget();
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED", "3 -> q/0.1"});
}

TEST(Limits, ATaskTakesAllOfItsLimitsOrNone) {
  World world(3);
  world.submit(limited("a"));
  Submit both = limited("a");
  both.options->limits.push_back({"b"});
  world.submit(std::move(both));
  world.submit(limited("b"));
  world.expect({"1 accepted", "1 -> p/2.1", "2 accepted", "3 accepted", "3 -> p/1.1"});
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED"});
  world.finish(3);
  world.expect({"3 SUCCEEDED RETURNED", "2 -> p/1.1"});
}

TEST(Rates, OfALimitSpreadStartsAfterABurst) {
  World world(4);
  world.turn(limit("api", 100, {10, 1s, 2}));
  for (int i = 0; i < 4; ++i) world.submit(limited("api"));
  world.expect({"1 accepted", "1 -> p/3.1", "2 accepted", "2 -> p/2.1", "3 accepted", "4 accepted"});
  world.advance(99ms);
  world.expect({});
  world.advance(1ms);
  world.expect({"3 -> p/1.1"});
  world.advance(100ms);
  world.expect({"4 -> p/0.1"});
}

TEST(Rates, OfAPoolSpreadStarts) {
  PoolSettings settings = pool_settings("p", 3);
  settings.rate = {1, 1min, 1};
  World world({settings});
  world.ready_all();
  world.forget();
  world.submit_many(2);
  world.expect({"1 accepted", "2 accepted", "1 -> p/2.1"});
  world.advance(59s);
  world.expect({});
  world.advance(1s);
  world.expect({"2 -> p/1.1"});
}

TEST(Ageing, APointOfPriorityIsWorthSomeWaiting) {
  World world(1);
  world.submit();
  world.submit();
  world.advance(30s);
  world.submit(task(1));
  world.advance(31s);
  world.submit(task(1));
  EXPECT_EQ(order(world, 4), (std::vector<Sequence>{1, 3, 2, 4}));
}

TEST(Ageing, OfZeroIsStrict) {
  PoolSettings settings = pool_settings();
  settings.ageing = 0s;
  World world({settings});
  world.ready_all();
  world.submit();
  world.submit();
  world.advance(24h);
  world.submit(task(1));
  EXPECT_EQ(order(world, 3), (std::vector<Sequence>{1, 3, 2}));
}

TEST(Shares, UsersTakeTurns) {
  World world(1);
  for (int i = 0; i < 4; ++i) world.submit(of_user(1));
  for (int i = 0; i < 3; ++i) world.submit(of_user(2));
  EXPECT_EQ(order(world, 7), (std::vector<Sequence>{1, 5, 2, 6, 3, 7, 4}));
}

TEST(Shares, AreByWeight) {
  PoolSettings settings = pool_settings();
  settings.shares = {{1, 3}};
  World world({settings});
  world.ready_all();
  world.turn(PausePool{0});
  for (int i = 0; i < 8; ++i) world.submit(of_user(1));
  for (int i = 0; i < 8; ++i) world.submit(of_user(2));
  world.turn(ResumePool{0});
  int of_first = 0;
  for (const Sequence number : order(world, 8)) of_first += number <= 8 ? 1 : 0;
  EXPECT_EQ(of_first, 6);
}

}  // namespace
}  // namespace poold::core
