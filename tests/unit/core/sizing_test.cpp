// Pools whose size follows the work, all pools together, and workers that have served their time.
#include <gtest/gtest.h>

#include "daemon/core/sizing.hpp"
#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

PoolSettings elastic_pool(std::uint32_t min, std::uint32_t max, std::uint32_t spare = 0) {
  PoolSettings settings = pool_settings("p", max);
  settings.workers_min = min;
  settings.spare = spare;
  settings.idle_timeout = 10s;
  return settings;
}

TEST(ElasticPool, StartsItsLeastNumberAndMoreForQueuedTasks) {
  World world({elastic_pool(1, 3)});
  world.expect({"start p/0"});
  world.ready(0);
  world.submit();
  world.expect({"1 accepted", "1 -> p/0.1"});
  world.submit();
  world.expect({"start p/1", "2 accepted"});
  world.submit_many(5);
  world.forget();
  EXPECT_EQ(live_processes(world.pool()), 3u) << "never more than its largest number";
}

TEST(ElasticPool, OnDemandHasNoWorkerWithoutWork) {
  World world({elastic_pool(0, 2)});
  world.expect({});
  EXPECT_EQ(state_of(world.pool()), PoolState::ready);
  world.submit();
  world.ready(0);
  world.expect({"start p/0", "1 accepted", "1 -> p/0.1"});
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED"});
  world.advance(9s);
  world.expect({});
  world.advance(1s);
  world.expect({"stop p/0.1"});
  world.exited(world.worker(0));
  world.advance(1h);
  world.expect({});
}

TEST(ElasticPool, KeepsSpareWorkersOpen) {
  World world({elastic_pool(1, 4, 1)});
  world.expect({"start p/0"});
  world.ready(0);
  world.expect({});
  world.submit();
  world.expect({"start p/1", "1 accepted", "1 -> p/0.1"});
  world.ready(1);
  world.submit();
  world.expect({"start p/2", "2 accepted", "2 -> p/1.1"});
}

TEST(ElasticPool, TheOneUsedLastStays) {
  World world({elastic_pool(1, 2)});
  world.ready(0);
  world.submit_many(2);
  world.ready(1);
  world.finish(2);
  world.advance(5s);
  world.finish(1);
  world.forget();
  world.advance(5s);
  world.expect({"stop p/1.1"});
  world.exited(world.worker(1));
  world.advance(1h);
  world.expect({});
}

TEST(ElasticPool, ThatIsPausedGrowsWhenItResumes) {
  World world({elastic_pool(0, 2)});
  world.turn(PausePool{0});
  world.submit();
  world.expect({"1 accepted"});
  world.turn(ResumePool{0});
  world.expect({"start p/0"});
}

TEST(ElasticPool, ScaledHasThatNumber) {
  World world({elastic_pool(0, 4)});
  world.turn(ScalePool{0, 2});
  world.expect({"start p/0", "start p/1"});
  world.ready_all();
  world.advance(1h);
  world.expect({});
}

TEST(ElasticPool, ThatIsRemovedRunsItsQueueDown) {
  World world({elastic_pool(0, 2)});
  world.submit();
  world.turn(Configure{{}});
  world.ready(0);
  world.finish(1);
  world.exited(world.worker(0));
  world.expect({"start p/0", "1 accepted", "1 -> p/0.1", "stop p/0.1", "1 SUCCEEDED RETURNED"});
}

TEST(AllPools, TogetherHaveAtMostSoMany) {
  World world({});
  PoolSettings q = elastic_pool(0, 4);
  q.name = "q";
  world.turn(Configure{{elastic_pool(1, 4), q}, {}, 3});
  world.ready(0);
  world.expect({"start p/0"});
  world.submit_many(4);
  world.ready_all();
  world.forget();
  EXPECT_EQ(live_processes(world.pool()), 3u);
  Submit other = task();
  other.pool = 1;
  world.submit(std::move(other));
  EXPECT_EQ(live_processes(world.pool(1)), 0u);
  // Who idles makes room for others.
  for (const Sequence number : {1, 2, 3, 4}) world.finish(number);
  world.advance(1ms);
  world.forget();
  EXPECT_EQ(ready_workers(world.pool()), 2u);
  for (std::uint32_t slot = 0; slot < 3; ++slot)
    if (world.slot(slot).state == WorkerState::retiring) world.exited(world.worker(slot));
  world.expect({"start q/0"});
}

TEST(AllPools, WhatAPoolLacksOfItsLeastNumberIsKeptFree) {
  World world({});
  PoolSettings q = pool_settings("q", 1);
  world.turn(Configure{{elastic_pool(0, 4), q}, {}, 2});
  world.ready(0, 1);
  world.submit_many(3);
  world.forget();
  EXPECT_EQ(live_processes(world.pool(0)), 1u);
  world.killed(world.worker(0, 1));
  world.ready_all();
  world.forget();
  EXPECT_EQ(live_processes(world.pool(0)), 1u);
  EXPECT_EQ(live_processes(world.pool(1)), 1u);
}

TEST(ElasticPool, WorkerThatWasKeptForATaskThatWentIdlesOutAllTheSame) {
  PoolSettings settings = elastic_pool(0, 1);
  settings.rate = {1, 1h, 1};
  World world({settings});
  world.submit();
  world.ready(0);
  world.finish(1);
  world.submit();  // which the rate holds up
  world.advance(10min);
  EXPECT_EQ(ready_workers(world.pool()), 1u);
  world.forget();
  world.turn(Cancel{2});
  world.advance(10s);
  world.expect({"2 CANCELLED", "stop p/0.1"});
  world.exited(world.worker(0));
  world.forget();
  world.advance(1min);
  EXPECT_GT(world.core.next_deadline() - world.now(), 1min) << "nobody is left to look at";
}

// A pool was scaled to three, and then all together may have two.
TEST(AllPools, ThatHaveMoreThanTheyMayTogetherStarveNone) {
  World world({});
  PoolSettings q = elastic_pool(0, 1);
  q.name = "q";
  const std::vector<PoolSettings> pools{pool_settings("p", 1), q};
  world.turn(Configure{pools, {}, 0});
  world.turn(ScalePool{0, 3});
  world.ready_all();
  world.turn(Configure{pools, {}, 2});
  EXPECT_EQ(world.pool(0).min, 0u);
  Submit other = task();
  other.pool = 1;
  world.submit(std::move(other));
  world.forget();
  for (int leaver = 0; leaver < 2; ++leaver) {
    EXPECT_EQ(live_processes(world.pool(1)), 0u);
    world.advance(1ms);
    for (std::uint32_t slot = 0; slot < 3; ++slot)
      if (world.slot(slot).state == WorkerState::retiring) world.exited(world.worker(slot));
  }
  world.expect({"stop p/0.1", "stop p/1.1", "start q/0"});
  world.ready(0, 1);
  world.turn(ScalePool{0, 1});
  EXPECT_EQ(world.pool(0).min, 1u);
  world.forget();
}

// What it wants to have spare is open, and it has not even got what it needs.
TEST(AllPools, WorkerThatItsPoolNeedsDoesNotGoForAnother) {
  World world({});
  PoolSettings q = elastic_pool(0, 4, 1);
  q.name = "q";
  q.rate = {1, 1h, 1};
  world.turn(Configure{{elastic_pool(1, 4), q}, {}, 2});
  world.ready(0);
  const auto submit = [&world] {
    Submit task_of_q = task();
    task_of_q.pool = 1;
    world.submit(std::move(task_of_q));
  };
  submit();
  world.ready(0, 1);
  world.finish(1);
  submit();  // which the rate holds up
  world.submit_many(4);
  world.forget();
  EXPECT_EQ(state_of(world.pool(1)), PoolState::ready);
  world.advance(1ms);
  world.expect({});
  EXPECT_EQ(live_processes(world.pool(0)), 1u);
  EXPECT_EQ(ready_workers(world.pool(1)), 1u);
}

PoolSettings worn_pool(WorkerService service) {
  PoolSettings settings = pool_settings("p", 1);
  settings.service = service;
  return settings;
}

TEST(Service, EndsAfterSoManyTasks) {
  World world({worn_pool({.tasks = 2, .spread = 0})});
  world.ready(0);
  world.submit();
  world.finish(1);
  world.forget();
  world.submit();
  world.finish(2);
  world.expect({"2 accepted", "2 -> p/0.1", "start p/1", "2 SUCCEEDED RETURNED"});
  world.ready(1);
  world.expect({"stop p/0.1"});
  world.exited(world.worker(0));
  world.ready(0);
  world.expect({"start p/0", "stop p/1.1"});
}

TEST(Service, EndsAtAnAge) {
  World world({worn_pool({.age = 1h, .spread = 0})});
  world.ready(0);
  world.forget();
  world.advance(59min);
  world.expect({});
  world.advance(1min);
  world.expect({"start p/1"});
}

TEST(Service, EndsBeyondASizeInMemory) {
  World world({worn_pool({.memory = 1000})});
  world.ready(0);
  world.forget();
  world.turn(WorkerMemory{world.worker(0), 1000});
  world.expect({});
  world.turn(WorkerMemory{world.worker(0), 1001});
  world.expect({"start p/1"});
  world.turn(WorkerMemory{{0, 0, 9}, 1001});
  world.expect({});
}

TEST(Service, EndsForEachWorkerAtAnotherTime) {
  PoolSettings settings = pool_settings("p", 20);
  settings.service = {.tasks = 1000, .spread = 50};
  World world({settings});
  world.ready_all();
  world.forget();
  std::vector<std::uint64_t> limits;
  for (const Slot& slot : world.pool().slots) limits.push_back(slot.tasks_max);
  std::ranges::sort(limits);
  EXPECT_GE(limits.front(), 500u);
  EXPECT_LE(limits.back(), 1000u);
  EXPECT_GT(limits.back() - limits.front(), 200u);
}

}  // namespace
}  // namespace poold::core
