// A cancel, once answered, decides.
#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

TEST(Cancel, AQueuedTaskEndsAtOnce) {
  World world(1);
  world.submit();
  world.submit();
  world.forget();
  world.cancel(2);
  world.expect({"2 CANCELLED"});
  EXPECT_EQ(world.pool().counters.cancelled, 1u);
  world.cancel(2);
  world.expect({});
}

TEST(Cancel, ARunningTaskEndsWithItsWorkersWord) {
  World world(1);
  world.submit();
  world.forget();
  world.cancel(1);
  world.cancel(1);
  world.expect({"cancel 1 on p/0.1"});
  world.finish(1, OutcomeKind::cancelled, "signal 15");
  world.expect({"1 CANCELLED 'signal 15'"});
}

TEST(Cancel, AResultAfterwardsIsCancelledWithTheExitBesideIt) {
  World world(1);
  Submit event = task();
  event.attempts_max = 5;
  world.submit(std::move(event));
  world.cancel(1);
  world.forget();
  world.finish(1, OutcomeKind::returned, "42");
  world.expect({"1 CANCELLED '42'"});
  EXPECT_EQ(world.pool().counters.succeeded, 0u);
  EXPECT_EQ(world.pool().counters.cancelled, 1u);
}

TEST(Cancel, AFailureAfterwardsIsNotRepeated) {
  World world(1);
  Submit event = task();
  event.attempts_max = 5;
  world.submit(std::move(event));
  world.cancel(1);
  world.forget();
  world.finish(1, OutcomeKind::signaled, "15");
  world.expect({"1 CANCELLED '15'"});
}

TEST(Cancel, ItsWorkersDeathEndsItCancelled) {
  World world(1);
  world.submit();
  world.cancel(1);
  world.forget();
  world.killed(world.worker(0), 15);
  world.expect({"start p/0", "1 CANCELLED by signal 15"});
}

TEST(Cancel, AHeldTaskThatHadNotStarted) {
  World world(1);
  world.make_tasks_short();
  const Sequence first = world.submit_many(3);
  const std::string second = std::to_string(first + 1);
  world.forget();
  world.cancel(first + 1);
  world.expect({"cancel " + second + " on p/0.1"});
  world.finish(first + 1, OutcomeKind::cancelled);
  world.expect({second + " CANCELLED"});
  EXPECT_EQ(world.held(0), (std::vector<Sequence>{first, first + 2}));
}

TEST(Cancel, AHeldTaskWhoseWorkerDiesIsCancelledAndNotQueued) {
  World world(1);
  world.make_tasks_short();
  const Sequence first = world.submit_many(2);
  world.cancel(first + 1);
  world.forget();
  world.killed(world.worker(0));
  world.expect({"start p/0", std::to_string(first + 1) + " CANCELLED",
                std::to_string(first) + " again after WORKER_LOST"});
}

TEST(Cancel, ATaskGivenBackAfterItsCancelIsCancelled) {
  World world(1);
  world.make_tasks_short();
  const Sequence first = world.submit_many(3);
  world.advance(5ms);
  world.cancel(first + 1);
  world.forget();
  world.returned(world.worker(0), {first + 1, first + 2});
  world.expect({std::to_string(first + 2) + " back", std::to_string(first + 1) + " CANCELLED"});
}

TEST(Cancel, AFunctionThatIgnoresItLosesItsWorkerAfterTheGrace) {
  World world(1);
  world.submit();
  world.cancel(1);
  world.forget();
  world.advance(1999ms);
  world.expect({});
  world.advance(1ms);
  world.expect({"condemned p/0.1: its task was cancelled and did not end in time", "kill p/0.1"});
  world.killed(world.worker(0));
  world.expect({"start p/0", "1 CANCELLED by signal 9"});
}

TEST(Cancel, ACommandWorkerGetsFiveSecondsMoreThanTheGrace) {
  PoolSettings settings = pool_settings();
  settings.ends_own_tasks = true;
  World world({settings});
  world.ready(0);
  world.submit();
  world.cancel(1);
  world.forget();
  world.advance(6999ms);
  world.expect({});
  world.advance(1ms);
  world.expect({"condemned p/0.1: its task was cancelled and did not end in time", "kill p/0.1"});
}

TEST(Cancel, AWorkerIsNotKilledForATaskThatStandsBehindAnother) {
  World world(1);
  world.make_tasks_short();
  const Sequence first = world.submit_many(2);
  world.cancel(first + 1);
  world.advance(60s);
  world.forget();
  // Now it may have started, and has its grace from now on.
  world.finish(first);
  world.expect({std::to_string(first) + " SUCCEEDED RETURNED"});
  world.advance(1999ms);
  world.expect({});
  world.advance(1ms);
  world.expect({"condemned p/0.1: its task was cancelled and did not end in time", "kill p/0.1"});
}

TEST(Cancel, ATaskThatStandsBehindAnotherWakesNobodyUp) {
  PoolSettings settings = pool_settings();
  settings.grace = 1ms;
  World world({settings});
  world.ready(0);
  world.make_tasks_short();
  const Sequence first = world.submit_many(2);
  world.cancel(first + 1);
  EXPECT_LE(world.wake_ups_until_quiet(), 5);
  world.forget();
}

TEST(Cancel, WithoutAGraceTheWorkerIsKilledAtOnce) {
  PoolSettings settings = pool_settings();
  settings.grace = 0s;
  World world({settings});
  world.ready(0);
  world.make_tasks_short();
  const Sequence first = world.submit_many(2);
  world.cancel(first + 1);
  world.forget();
  world.advance(0s);
  world.expect({});
  world.cancel(first);
  world.advance(0s);
  world.expect({"cancel " + std::to_string(first) + " on p/0.1",
                "condemned p/0.1: its task was cancelled and did not end in time", "kill p/0.1"});
}

TEST(Cancel, ALongerGraceByReloadIsNotForgotten) {
  World world(1);
  world.submit();
  world.cancel(1);
  PoolSettings settings = pool_settings();
  settings.grace = 10s;
  world.turn(Configure{{settings}});
  world.forget();
  world.advance(1min);
  world.expect({"condemned p/0.1: its task was cancelled and did not end in time", "kill p/0.1"});
}

TEST(Cancel, OfATaskThatIsUnknown) {
  World world(1);
  world.cancel(99);
  world.expect({});
}

TEST(Cancel, OfTheLastQueuedTaskOfARemovedPoolLetsItGo) {
  World world(1);
  world.turn(PausePool{0});
  world.submit();
  world.turn(Configure{{}});
  world.forget();
  world.cancel(1);
  world.expect({"stop p/0.1", "1 CANCELLED"});
}

}  // namespace
}  // namespace poold::core
