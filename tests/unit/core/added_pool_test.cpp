// Pools beside the configured ones: added, removed, and those for one task.
#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

PoolSettings named(const std::string& name, bool one_task = false) {
  PoolSettings settings;
  settings.name = name;
  settings.one_task = one_task;
  return settings;
}

Submit task_for(PoolIndex pool) {
  Submit made = task();
  made.pool = pool;
  return made;
}

TEST(AddedPool, WorksAndGoesWhenItIsRemoved) {
  World world(1);
  world.turn(AddPool{named("q")});
  world.expect({"start q/0"});
  world.ready(0, 1);
  world.submit(task_for(1));
  world.expect({"1 accepted", "1 -> q/0.1"});
  world.turn(RemovePool{1});
  world.finish(1);
  world.expect({"stop q/0.1", "1 SUCCEEDED RETURNED"});
  world.exited(world.worker(0, 1));
  world.expect({});
  EXPECT_EQ(live_processes(world.pool(1)), 0u);
  EXPECT_FALSE(world.pool(0).removed);
}

TEST(AddedPool, ForOneTaskStandsOutsideTheNumberOfAllPools) {
  World world(1);
  world.turn(Configure{{world.pool().settings}, {}, 1});
  world.forget();
  world.turn(AddPool{named("q", true)});
  world.expect({"start q/0"});
  world.ready(0, 1);
  world.submit(task_for(1));
  world.expect({"1 accepted", "1 -> q/0.1"});
  world.finish(1);
  world.forget();
}

TEST(AddedPool, TheSameNameIsTheSamePlace) {
  World world(1);
  world.turn(AddPool{named("q")});
  world.turn(RemovePool{1});
  world.turn(AddPool{named("q")});
  world.expect({"start q/0"});
  EXPECT_EQ(world.core.state().pools.size(), 2u);
  EXPECT_FALSE(world.pool(1).removed);
}

TEST(PoolForOneTask, GoesWithItsTask) {
  World world(1);
  world.turn(AddPool{named("q", true)});
  world.ready(0, 1);
  world.submit(task_for(1));
  world.forget();
  world.finish(1);
  world.expect({"stop q/0.1", "1 SUCCEEDED RETURNED"});
  world.submit(task_for(1));
  world.expect({"refused: POOL_REMOVED"});
}

TEST(PoolForOneTask, DeadWorkerIsNotReplaced) {
  World world(1);
  PoolSettings settings = named("q", true);
  settings.crash_attempts = 1;
  world.turn(AddPool{settings});
  world.ready(0, 1);
  world.submit(task_for(1));
  world.forget();
  world.killed(world.worker(0, 1));
  world.expect({"1 FAILED WORKER_LOST by signal 9"});
}

TEST(PoolForOneTask, GoesWhenItsTaskIsCancelledBeforeTheHello) {
  World world(1);
  world.turn(AddPool{named("q", true)});
  world.started(0, 1);
  world.submit(task_for(1));
  world.forget();
  world.cancel(1);
  world.expect({"condemned q/0.1: it is not needed any more", "kill q/0.1", "1 CANCELLED"});
}

}  // namespace
}  // namespace poold::core
