// Why a task does not run: each reason, and which comes first.
#include "daemon/core/explain.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

using Kind = Reason::Kind;

std::vector<Reason> why(const World& world, Sequence number) {
  return explain(world.core.state(), *world.find(number), world.now());
}

std::vector<Kind> kinds(const World& world, Sequence number) {
  std::vector<Kind> found;
  for (const Reason& reason : why(world, number)) found.push_back(reason.kind);
  return found;
}

Submit with_limits(std::initializer_list<LimitUse> limits) {
  Submit event = task();
  event.options = std::make_unique<TaskOptions>();
  event.options->limits = limits;
  return event;
}

TEST(Explain, WhatRunsNeedsNoReason) {
  World world(1);
  world.submit();
  EXPECT_EQ(kinds(world, 1), std::vector<Kind>{});
  world.forget();
}

TEST(Explain, WhatWaitsForItselfNamesAllThatIsMissing) {
  World world(1);
  world.submit();
  Submit event = task();
  event.options = std::make_unique<TaskOptions>();
  event.options->held = true;
  event.options->parents.push_back({1, false, std::nullopt});
  event.options->not_before = world.now() + 10s;
  world.submit(std::move(event));
  EXPECT_EQ(kinds(world, 2), (std::vector{Kind::held, Kind::parent, Kind::not_due}));
  EXPECT_EQ(why(world, 2)[1].parent, 1u);
  EXPECT_EQ(why(world, 2)[2].until, world.now() + 10s);
  world.forget();
}

TEST(Explain, BusyWorkersAndThoseWhoStandBefore) {
  World world(1);
  world.submit();
  world.submit();
  world.submit();
  world.submit(task(5));
  Submit event = task();
  event.uid = 7;
  world.submit(std::move(event));
  EXPECT_EQ(kinds(world, 4), std::vector{Kind::workers_busy});
  EXPECT_EQ(kinds(world, 3), (std::vector{Kind::workers_busy, Kind::behind_others}));
  EXPECT_EQ(why(world, 3)[1].ahead, 3u) << "2 and 4, and perhaps the other user's";
  EXPECT_EQ(why(world, 5)[1].ahead, 3u) << "4, and perhaps those of the other user";
  world.forget();
}

TEST(Explain, APausedPoolNamesWhoPausedIt) {
  World world(1);
  world.turn(PausePool{0, 1234});
  world.submit();
  EXPECT_EQ(kinds(world, 1), std::vector{Kind::pool_paused});
  EXPECT_EQ(why(world, 1)[0].uid, 1234u);
  world.forget();
}

TEST(Explain, APoolWhoseWorkersDoNotStart) {
  World world({pool_settings()});
  world.submit();
  EXPECT_EQ(kinds(world, 1), std::vector{Kind::no_workers});
  world.start_failed(0);
  EXPECT_EQ(kinds(world, 1), (std::vector{Kind::pool_throttled, Kind::no_workers}));
  EXPECT_GT(why(world, 1)[0].until, world.now());
  world.forget();
}

TEST(Explain, ARateOfThePool) {
  PoolSettings settings = pool_settings("p", 2);
  settings.rate = {1, 10s, 1};
  World world({settings});
  world.ready_all();
  world.submit();
  world.submit();
  EXPECT_EQ(kinds(world, 2), std::vector{Kind::pool_rate});
  EXPECT_EQ(why(world, 2)[0].until, world.now() + 10s);
  world.forget();
}

TEST(Explain, TheLimitAtWhichATaskStandsComesFirst) {
  World world(3);
  world.turn(SetLimit{{"first", 0, {}}});
  world.turn(SetLimit{{"second", 4, {}}});
  world.submit(with_limits({{"second", 3}}));
  world.submit(with_limits({{"second", 2}, {"first", 1}}));
  world.submit(with_limits({{"second", 2}}));
  const auto reasons = why(world, 2);
  ASSERT_EQ(reasons.size(), 2u);
  EXPECT_EQ(reasons[0].limit, world.find(2)->options->parked_at->settings.name);
  EXPECT_EQ(kinds(world, 3).front(), Kind::limit);
  EXPECT_EQ(why(world, 3)[0].wanted, 2u);
  EXPECT_EQ(why(world, 3)[0].used, 3u);
  EXPECT_EQ(why(world, 3)[0].size, 4u);
  world.turn(PausePool{0, 1});
  EXPECT_EQ(kinds(world, 3).back(), Kind::pool_paused);
  world.forget();
}

TEST(Explain, ALimitsRate) {
  World world(2);
  world.turn(SetLimit{{"api", 10, {1, 5s, 1}}});
  world.submit(with_limits({{"api"}}));
  world.submit(with_limits({{"api"}}));
  EXPECT_EQ(kinds(world, 2), std::vector{Kind::limit_rate});
  EXPECT_EQ(why(world, 2)[0].until, world.now() + 5s);
  world.forget();
}

TEST(Explain, AQueuedTaskNamesTheLimitsThatWouldStopItToo) {
  World world(1);
  world.submit(with_limits({{"db"}}));
  world.submit(with_limits({{"db"}, {"free"}}));
  world.turn(PausePool{0, 1});
  world.submit(with_limits({{"db"}, {"free"}}));
  const Kind expected = world.find(3)->state == TaskState::queued ? Kind::pool_paused : Kind::limit;
  EXPECT_EQ(kinds(world, 3).front(), expected);
  world.forget();
}

}  // namespace
}  // namespace poold::core
