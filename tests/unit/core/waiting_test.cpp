// When a task may run: delays, parents, holds, time limits; and what becomes of it when it fails.
#include <gtest/gtest.h>

#include "daemon/core/explain.hpp"
#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

Submit task_with(TaskOptions options, std::uint32_t attempts = 1) {
  Submit event = task();
  event.options = std::make_unique<TaskOptions>(std::move(options));
  event.attempts_max = attempts;
  return event;
}

TaskOptions after(Sequence parent, bool however = false) {
  TaskOptions options;
  options.parents.push_back({parent, however, std::nullopt});
  return options;
}

std::vector<Reason::Kind> reasons(const World& world, Sequence number) {
  std::vector<Reason::Kind> kinds;
  for (const Reason& reason : explain(world.core.state(), *world.find(number), world.now()))
    kinds.push_back(reason.kind);
  return kinds;
}

TEST(Delay, ATaskWaitsForItsTime) {
  World world(1);
  TaskOptions options;
  options.not_before = world.now() + 10s;
  world.submit(task_with(options));
  EXPECT_EQ(world.find(1)->state, TaskState::waiting);
  EXPECT_EQ(reasons(world, 1), std::vector{Reason::Kind::not_due});
  world.advance(9s);
  world.expect({"1 accepted"});
  world.advance(1s);
  world.expect({"1 -> p/0.1"});
}

TEST(TimeToLive, WhatHasNotStartedExpires) {
  World world(1);
  world.submit();
  TaskOptions options;
  options.time_to_live = 2s;
  world.submit(task_with(options));
  world.advance(1s);
  world.forget();
  world.advance(1s);
  world.expect({"2 FAILED EXPIRED"});
}

TEST(TimeToLive, WhatHasStartedDoesNotExpire) {
  World world(1);
  TaskOptions options;
  options.time_to_live = 2s;
  world.submit(task_with(options));
  world.advance(1h);
  world.expect({"1 accepted", "1 -> p/0.1"});
  EXPECT_EQ(world.core.next_deadline(), Time::max());
}

TEST(Timeout, TheAttemptIsAskedToEndAndIsTimedOutWhateverItSays) {
  World world(1);
  TaskOptions options;
  options.timeout = 3s;
  world.submit(task_with(options));
  world.advance(3s);
  world.expect({"1 accepted", "1 -> p/0.1", "time out 1 on p/0.1"});
  world.finish(1, OutcomeKind::returned, "late");
  world.expect({"1 FAILED TIMED_OUT 'late'"});
}

TEST(Timeout, AWorkerThatDoesNotEndItIsKilledAfterTheGraceAndThatIsNoCrash) {
  World world(1);
  TaskOptions options;
  options.timeout = 3s;
  options.grace = 1s;
  world.submit(task_with(options, 2));
  world.advance(3s);
  world.forget();
  world.advance(1s);
  world.expect({"condemned p/0.1: its task's time was over and it did not end", "kill p/0.1"});
  world.killed(world.worker(0));
  world.expect({"start p/0", "1 again after TIMED_OUT"});
  EXPECT_EQ(world.find(1)->crashes, 0u);
}

TEST(Deadline, IsOfAllAttemptsTogether) {
  World world(1);
  TaskOptions options;
  options.deadline = 5s;
  options.backoff = 10s;
  world.submit(task_with(options, 9));
  world.forget();
  // The next attempt could only begin after it.
  world.finish(1, OutcomeKind::raised);
  world.expect({"1 FAILED RAISED"});
}

TEST(Backoff, DoublesUpToItsMaximumAndIsShortenedByChance) {
  World world(1);
  TaskOptions options;
  options.backoff = 10s;
  options.backoff_max = 25s;
  world.submit(task_with(options, 9));
  for (const Duration most : {10s, 20s, 25s, 25s}) {
    world.forget();
    world.finish(1, OutcomeKind::raised);
    EXPECT_EQ(world.find(1)->state, TaskState::waiting);
    world.advance(most / 2 - 1ms);
    EXPECT_EQ(world.find(1)->state, TaskState::waiting);
    world.advance(most / 2 + 1ms);
    EXPECT_EQ(world.find(1)->state, TaskState::running);
  }
  world.forget();
}

TEST(RetryOn, OnlyWhatWasAskedIsRepeated) {
  World world(1);
  TaskOptions options;
  options.retry_on.add(OutcomeKind::raised);
  options.retry_on.codes = {75};
  world.submit(task_with(options, 9));
  world.forget();
  world.finish(1, OutcomeKind::raised);
  world.expect({"1 again after RAISED", "1 -> p/0.1"});
  WorkerResult result = world.result_of(1, OutcomeKind::exited);
  result.exit_code = 75;
  world.turn(std::move(result));
  world.expect({"1 again after EXITED attempt 2", "1 -> p/0.1"});
  result = world.result_of(1, OutcomeKind::exited);
  result.exit_code = 1;
  world.turn(std::move(result));
  world.expect({"1 FAILED EXITED attempt 3"});
}

TEST(Parents, AChildStartsWhenAllHaveSucceeded) {
  World world(2);
  world.submit();
  world.submit();
  TaskOptions options = after(1);
  options.parents.push_back({2});
  world.submit(task_with(options));
  EXPECT_EQ(reasons(world, 3), (std::vector{Reason::Kind::parent, Reason::Kind::parent}));
  world.forget();
  world.finish(2);
  world.expect({"2 SUCCEEDED RETURNED"});
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED", "3 -> p/1.1"});
}

TEST(Parents, AFailureTakesChildrenAndTheirChildrenAlong) {
  World world(1);
  world.submit();
  world.submit(task_with(after(1)));
  world.submit(task_with(after(2)));
  world.submit(task_with(after(2, true)));
  world.forget();
  world.finish(1, OutcomeKind::raised);
  world.expect({"1 FAILED RAISED", "2 CANCELLED", "3 CANCELLED", "4 -> p/0.1"});
}

TEST(Parents, AFailureReleasesChildrenThatAskForIt) {
  World world(1);
  world.submit();
  TaskOptions options = after(1);
  options.cancel_with_parent = false;
  world.submit(task_with(options));
  world.forget();
  world.finish(1, OutcomeKind::raised);
  world.expect({"1 FAILED RAISED", "2 -> p/0.1"});
}

TEST(Parents, ThatHaveEndedCountAtOnce) {
  World world(1);
  TaskOptions failed;
  failed.parents.push_back({77, false, false});
  world.submit(task_with(failed));
  world.expect({"1 accepted", "1 CANCELLED"});
  TaskOptions well;
  well.parents.push_back({77, false, true});
  world.submit(task_with(well));
  world.expect({"2 accepted", "2 -> p/0.1"});
}

TEST(Parents, ALongChainEndsWithoutDeepCalls) {
  World world(1);
  world.submit();
  Step step;
  constexpr Sequence length = 20'000;
  for (Sequence number = 2; number <= length; ++number) {
    Submit event = task_with(after(number - 1));
    event.id = world.id(number);
    world.core.handle(std::move(event), world.now(), step);
  }
  step.clear();
  world.core.handle(Cancel{1}, world.now(), step);
  world.core.handle(WorkerResult{world.worker(0), 1, 1, OutcomeKind::cancelled, 0, {}}, world.now(), step);
  EXPECT_EQ(world.core.state().tasks.size(), 0u);
  world.forget();
}

TEST(Hold, AHeldTaskStartsWhenItIsReleased) {
  World world(1);
  TaskOptions options;
  options.held = true;
  world.submit(task_with(options));
  world.expect({"1 accepted"});
  EXPECT_EQ(reasons(world, 1), std::vector{Reason::Kind::held});
  world.turn(Release{1});
  world.expect({"1 -> p/0.1"});
}

TEST(Hold, AQueuedPlainTaskCanBeHeldAndARunningOneCannot) {
  World world(1);
  world.submit();
  world.submit();
  world.turn(Hold{1}, Hold{2});
  world.forget();
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED"});
  world.turn(Release{2});
  world.expect({"2 -> p/0.1"});
}

TEST(Hold, AHeldTaskCanBeCancelled) {
  World world(1);
  TaskOptions options;
  options.held = true;
  world.submit(task_with(options));
  world.forget();
  world.cancel(1);
  world.expect({"1 CANCELLED"});
}

TEST(Retry, AnEndedTaskRunsAgainWithAttemptsOfItsOwn) {
  World world(1);
  Step step;
  Submit event = task();
  event.attempts_max = 2;
  world.submit(std::move(event));
  world.finish(1, OutcomeKind::raised);
  world.forget();
  Core& core = world.core;
  core.handle(WorkerResult{world.worker(0), 1, 2, OutcomeKind::raised, 0, {}}, world.now(), step);
  Task record = std::move(std::get<Finished>(step.promises.back()).task);
  EXPECT_EQ(record.state, TaskState::failed);
  EXPECT_FALSE(refusal_of_retry(core.state(), record).has_value());
  world.turn(Retry{std::move(record)});
  world.expect({"1 -> p/0.1"});
  EXPECT_EQ(world.find(1)->attempt, 3u);
  world.finish(1, OutcomeKind::raised);
  world.expect({"1 again after RAISED attempt 3", "1 -> p/0.1"});
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED attempt 4"});
}

TEST(UserTasks, OneUserCannotFillThePool) {
  PoolSettings settings = pool_settings();
  settings.user_tasks_max = 2;
  World world({settings});
  world.ready_all();
  world.forget();
  for (int i = 0; i < 3; ++i) world.submit();
  Submit other = task();
  other.uid = 7;
  world.submit(std::move(other));
  world.expect({"1 accepted", "1 -> p/0.1", "2 accepted", "refused: USER_FULL", "4 accepted"});
  world.finish(1);
  world.submit();
  world.expect({"1 SUCCEEDED RETURNED", "4 -> p/0.1", "5 accepted"});
}

}  // namespace
}  // namespace poold::core
