// How attempts end: by their own fault, with their worker, or by a lie.
#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

Submit task_with_attempts(std::uint32_t attempts, std::uint32_t crash_attempts = 0) {
  Submit event = task();
  event.attempts_max = attempts;
  event.crash_attempts_max = crash_attempts;
  return event;
}

WorkerResult exit_result(const World& world, Sequence number, int code) {
  WorkerResult result = world.result_of(number, OutcomeKind::exited);
  result.exit_code = code;
  return result;
}

TEST(Attempts, AFailureIsNotRepeatedUnlessAsked) {
  World world(1);
  world.submit();
  world.finish(1, OutcomeKind::raised, "why");
  world.expect({"1 accepted", "1 -> p/0.1", "1 FAILED RAISED 'why'"});
  EXPECT_EQ(world.pool().counters.failed, 1u);
}

TEST(Attempts, FailuresAreRepeatedBehindTheOthers) {
  World world(1);
  world.submit(task_with_attempts(3));
  world.submit();
  world.forget();
  world.finish(1, OutcomeKind::raised);
  world.expect({"1 again after RAISED", "2 -> p/0.1"});
  world.finish(2);
  world.expect({"2 SUCCEEDED RETURNED", "1 -> p/0.1"});
  world.turn(exit_result(world, 1, 3));
  world.expect({"1 again after EXITED attempt 2", "1 -> p/0.1"});
  world.finish(1, OutcomeKind::timed_out, "last");
  world.expect({"1 FAILED TIMED_OUT attempt 3 'last'"});
}

TEST(Attempts, SuccessIsExitZeroOrReturned) {
  World world(1);
  for (int i = 0; i < 3; ++i) world.submit();
  world.forget();
  world.turn(exit_result(world, 1, 0));
  world.expect({"1 SUCCEEDED EXITED", "2 -> p/0.1"});
  world.turn(exit_result(world, 2, 7));
  world.expect({"2 FAILED EXITED", "3 -> p/0.1"});
  world.finish(3, OutcomeKind::returned, "6");
  world.expect({"3 SUCCEEDED RETURNED '6'"});
  EXPECT_EQ(world.pool().counters.succeeded, 2u);
}

TEST(Attempts, ARejectedTaskIsNotRepeated) {
  World world(1);
  world.submit(task_with_attempts(5));
  world.forget();
  world.finish(1, OutcomeKind::rejected);
  world.expect({"1 FAILED REJECTED"});
}

TEST(CrashAttempts, PoisonEndsWithItsSignal) {
  World world(1);
  world.submit();
  world.forget();
  world.killed(world.worker(0), 11);
  world.expect({"start p/0", "1 again after WORKER_LOST"});
  world.ready(0);
  world.expect({"1 -> p/0.2"});
  world.killed(world.worker(0), 11);
  world.ready(0);
  world.expect({"start p/0", "1 again after WORKER_LOST attempt 2", "1 -> p/0.3"});
  world.killed(world.worker(0), 11);
  world.expect({"start p/0", "1 FAILED WORKER_LOST attempt 3 by signal 11"});
  EXPECT_EQ(world.pool().counters.workers_lost, 3u);
  EXPECT_FALSE(world.pool().throttled());
}

TEST(CrashAttempts, AWorkerThatExitsUnderItsTaskIsLostWithItsCode) {
  World world(1);
  world.submit(task_with_attempts(9, 1));
  world.forget();
  world.exited(world.worker(0), 3);
  world.expect({"start p/0", "1 FAILED WORKER_LOST with code 3"});
}

TEST(CrashAttempts, AreCountedApartFromTheTasksOwnFailures) {
  World world(1);
  world.submit(task_with_attempts(2, 2));
  world.killed(world.worker(0));
  world.ready(0);
  world.forget();
  world.finish(1, OutcomeKind::raised);
  world.expect({"1 again after RAISED attempt 2", "1 -> p/0.2"});
  world.finish(1, OutcomeKind::raised);
  world.expect({"1 FAILED RAISED attempt 3"});
}

TEST(CrashAttempts, OnlyTheFirstHeldTaskIsCharged) {
  World world(1);
  world.make_tasks_short();
  const Sequence first = world.submit_many(4);
  EXPECT_EQ(world.held(0), (std::vector<Sequence>{first, first + 1, first + 2, first + 3}));
  const Sequence late = world.submit_many(1, 0);
  world.turn(PausePool{0});
  world.killed(world.worker(0), 11);
  // The others stand where they stood, before whatever came later; the charged one stands behind.
  EXPECT_EQ(world.queued(), (std::vector<Sequence>{first + 1, first + 2, first + 3, late, first}));
  EXPECT_EQ(world.find(first)->crashes, 1u);
  for (Sequence number = first + 1; number <= late; ++number) {
    EXPECT_EQ(world.find(number)->crashes, 0u);
    EXPECT_EQ(world.find(number)->attempt, 0u);
  }
  world.forget();
}

TEST(CrashAttempts, TheNextInLineIsChargedOnceTheFirstHasItsResult) {
  World world(1);
  world.make_tasks_short();
  const Sequence first = world.submit_many(3);
  world.forget();
  world.finish(first);
  world.killed(world.worker(0), 11);
  const std::string second = std::to_string(first + 1), third = std::to_string(first + 2);
  world.expect({std::to_string(first) + " SUCCEEDED RETURNED", "start p/0", third + " back",
                second + " again after WORKER_LOST"});
}

TEST(Lies, ResultsAboutOtherAttemptsAreCountedAndDropped) {
  World world(2);
  world.submit();  // on slot 1
  world.forget();
  const WorkerResult right = world.result_of(1);
  const auto send = [&](auto change) {
    WorkerResult wrong = world.result_of(1);
    change(wrong);
    world.turn(std::move(wrong));
  };
  send([](WorkerResult& r) { r.worker.generation = 9; });
  send([](WorkerResult& r) { r.attempt = 2; });
  send([](WorkerResult& r) { r.attempt = 0; });
  send([](WorkerResult& r) { r.worker.slot = 0; });
  send([](WorkerResult& r) { r.worker.slot = 5; });
  send([](WorkerResult& r) { r.task = 99; });
  EXPECT_EQ(world.pool().counters.stale, 6u);
  send([](WorkerResult& r) { r.worker.pool = 5; });  // whose counter?
  world.expect({});
  world.finish(1);
  world.finish(1);  // of a task that is gone
  world.expect({"1 SUCCEEDED RETURNED"});
}

TEST(Lies, AResultOfAQueuedTaskIsDropped) {
  World world(1);
  world.submit();
  world.submit();
  world.forget();
  WorkerResult result = world.result_of(1);
  result.task = 2;
  world.turn(std::move(result));
  world.expect({});
  EXPECT_EQ(world.pool().counters.stale, 1u);
}

TEST(Lies, AnImpossibleOutcomeEndsTheWorkerOnce) {
  World world(1);
  world.submit();
  world.forget();
  world.finish(1, OutcomeKind::worker_lost);
  world.expect({"condemned p/0.1: it reported an outcome that no worker can know", "kill p/0.1"});
  world.finish(1, OutcomeKind::expired);
  world.finish(1, OutcomeKind::unspecified);
  world.turn(WorkerHello{world.worker(0)});
  world.expect({});
  world.killed(world.worker(0));
  world.expect({"start p/0", "1 again after WORKER_LOST"});
}

TEST(Lies, AnAnswerAlreadyWrittenByACondemnedWorkerCounts) {
  World world(1);
  world.submit();
  world.turn(WorkerHello{world.worker(0)});
  world.forget();
  world.finish(1);
  world.killed(world.worker(0));
  world.expect({"1 SUCCEEDED RETURNED", "start p/0"});
}

TEST(Lies, ACancelNobodyAskedForIsALostAttempt) {
  World world(1);
  world.submit(task_with_attempts(1, 2));
  world.forget();
  world.finish(1, OutcomeKind::cancelled);
  world.expect({"1 again after WORKER_LOST", "1 -> p/0.1"});
  world.finish(1, OutcomeKind::cancelled);
  world.expect({"1 FAILED WORKER_LOST attempt 2"});
}

TEST(TasksPerWorker, AUsedUpWorkerIsReplacedAndWasSentNothingAhead) {
  PoolSettings settings = pool_settings();
  settings.tasks_per_worker = 2;
  World world({settings});
  world.ready_all();
  world.submit_many(3);
  world.forget();
  world.finish(1);
  world.expect({"1 SUCCEEDED RETURNED", "2 -> p/0.1"});
  world.finish(2);
  world.expect({"stop p/0.1", "2 SUCCEEDED RETURNED"});
  EXPECT_EQ(world.held(0), std::vector<Sequence>{});
  world.exited(world.worker(0));
  world.ready(0);
  world.expect({"start p/0", "3 -> p/0.2"});
  EXPECT_EQ(world.pool().counters.workers_lost, 0u);
}

TEST(Lies, TasksThatWereNotAskedBackCannotBeReturned) {
  World world(1);
  world.submit();
  world.submit();
  world.forget();
  world.returned(world.worker(0), {1, 2, 99});
  world.returned({0, 0, 9}, {1});
  world.returned({0, 5, 1}, {1});
  world.returned({7, 0, 1}, {1});
  world.expect({});
  EXPECT_EQ(world.held(0), std::vector<Sequence>{1});
}

TEST(Lies, ASecondHelloEndsTheWorker) {
  World world(1);
  world.turn(WorkerHello{world.worker(0)});
  world.expect({"condemned p/0.1: it said hello twice", "kill p/0.1"});
  world.submit();
  world.expect({"1 accepted"});
}

TEST(Lies, ABrokenFrameEndsTheWorker) {
  World world(1);
  world.submit();
  world.forget();
  world.turn(WorkerBroken{world.worker(0), "garbage", false});
  world.expect({"condemned p/0.1: garbage", "kill p/0.1"});
  world.turn(WorkerBroken{world.worker(0), "more garbage", false});
  world.expect({});
}

}  // namespace
}  // namespace poold::core
