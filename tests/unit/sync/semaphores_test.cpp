// Semaphores and their holders, one situation a test.
#include "daemon/core/sync/semaphores.hpp"

#include <gmock/gmock.h>

namespace poold::sync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SemaphoresTest : public testing::Test {
 protected:
  void make(const std::string& name, std::uint32_t permits, std::uint32_t maximum) {
    EXPECT_EQ(semaphores_.create({name, permits, maximum, 1, false, 0}), Refusal::none);
  }
  // Each number is a call and the connection that makes it; process 1000 + number.
  static Holder holder(HolderNumber number) { return {number, static_cast<std::int32_t>(1000 + number), 1}; }
  void acquire(CallNumber call, const std::string& name = "s", std::uint32_t count = 1,
               Taking taking = Taking::hold, bool wait = true) {
    semaphores_.acquire(call, holder(call), name, count, taking, wait, answers_);
  }
  std::uint32_t release(HolderNumber by, Release what = {.name = "s"}) {
    const auto released = semaphores_.release(holder(by), what, answers_);
    EXPECT_TRUE(std::holds_alternative<std::uint32_t>(released));
    return std::get<std::uint32_t>(released);
  }
  Refusal refused(HolderNumber by, const Release& what) {
    const auto released = semaphores_.release(holder(by), what, answers_);
    return std::holds_alternative<Refusal>(released) ? std::get<Refusal>(released) : Refusal::none;
  }
  void gone(HolderNumber number, bool unread = false) { semaphores_.gone(number, unread, answers_); }

  std::vector<std::string> told() {
    EXPECT_EQ(semaphores_.broken_invariant(), "");
    std::vector<std::string> words;
    for (const auto& [call, acquired, refusal] : answers_)
      words.push_back(std::to_string(call) + (acquired                   ? " has"
                                              : refusal != Refusal::none ? " refused"
                                                                         : " late"));
    answers_.clear();
    return words;
  }

  Semaphores semaphores_;
  SemaphoreAnswers answers_;
};

TEST_F(SemaphoresTest, PermitsGoInTheOrderOfAsking) {
  make("s", 2, 2);
  for (const CallNumber call : {1, 2, 3, 4}) acquire(call);
  EXPECT_THAT(told(), ElementsAre("1 has", "2 has"));
  release(2);
  release(1);
  EXPECT_THAT(told(), ElementsAre("3 has", "4 has"));
}

TEST_F(SemaphoresTest, PermitOfADeadHolderComesBack) {
  make("s", 1, 1);
  acquire(1);
  acquire(2);
  gone(1);
  EXPECT_THAT(told(), ElementsAre("1 has", "2 has"));
  EXPECT_EQ(semaphores_.find("s")->returned, 1u);
}

TEST_F(SemaphoresTest, ReleasedPermitDoesNotComeBackTwice) {
  make("s", 1, 5);
  acquire(1);
  release(1);
  gone(1);
  EXPECT_EQ(semaphores_.find("s")->free, 1u);
}

TEST_F(SemaphoresTest, DeadWaiterTakesNothing) {
  make("s", 1, 1);
  for (const CallNumber call : {1, 2, 3}) acquire(call);
  semaphores_.give_up(2, false, answers_);
  gone(2, true);
  release(1);
  EXPECT_THAT(told(), ElementsAre("1 has", "3 has"));
}

TEST_F(SemaphoresTest, WhoWantsManyIsNotPassed) {
  make("s", 2, 2);
  acquire(1);
  acquire(2, "s", 2);
  acquire(3);
  EXPECT_THAT(told(), ElementsAre("1 has"));
  release(1);
  EXPECT_THAT(told(), ElementsAre("2 has"));
  release(2, {.name = "s", .count = 2});
  EXPECT_THAT(told(), ElementsAre("3 has"));
}

TEST_F(SemaphoresTest, TheRestFollowsWhenWhoWantsManyGivesUp) {
  make("s", 1, 2);
  acquire(1, "s", 2);
  acquire(2);
  semaphores_.give_up(1, true, answers_);
  EXPECT_THAT(told(), ElementsAre("1 late", "2 has"));
}

TEST_F(SemaphoresTest, AnybodyMayReleaseAndTheHolderIsForgotten) {
  make("s", 1, 1);
  acquire(1);
  release(2);
  acquire(3);
  gone(1);
  EXPECT_THAT(told(), ElementsAre("1 has", "3 has"));
  EXPECT_EQ(semaphores_.find("s")->free, 0u);
}

TEST_F(SemaphoresTest, ProcessReleasesItsOwnOverAnotherConnection) {
  make("s", 2, 2);
  acquire(1);
  semaphores_.acquire(2, {2, 42, 1}, "s", 1, Taking::hold, true, answers_);
  semaphores_.release({9, 42, 1}, {.name = "s"}, answers_);
  ASSERT_EQ(semaphores_.find("s")->holdings.size(), 1u);
  EXPECT_EQ(semaphores_.find("s")->holdings[0].holder.number, 1u);
  told();
}

TEST_F(SemaphoresTest, MoreThanTheMaximumIsRefused) {
  make("s", 1, 1);
  EXPECT_EQ(refused(1, {.name = "s"}), Refusal::over_maximum);
  EXPECT_EQ(refused(1, {.name = "t"}), Refusal::unknown);
  EXPECT_EQ(release(1, {.name = "s", .clamp = true}), 0u);
  acquire(2, "s", 2);
  EXPECT_THAT(told(), ElementsAre("2 refused"));
}

TEST_F(SemaphoresTest, OwnPermitsOnly) {
  make("s", 1, 1);
  acquire(1);
  EXPECT_EQ(refused(2, {.name = "s", .own_only = true}), Refusal::not_held);
  EXPECT_EQ(release(1, {.name = "s", .own_only = true}), 1u);
  told();
}

TEST_F(SemaphoresTest, SemaphoreWithoutBoundGrows) {
  make("s", 0, permits_max);
  release(1, {.name = "s", .count = 3});
  EXPECT_EQ(semaphores_.find("s")->free, 3u);
}

TEST_F(SemaphoresTest, ConsumedPermitsDoNotComeBack) {
  make("s", 1, 1);
  acquire(1, "s", 1, Taking::consume);
  semaphores_.confirm(1);
  gone(1, true);
  EXPECT_EQ(semaphores_.find("s")->free, 0u);
  release(2);
  EXPECT_EQ(semaphores_.find("s")->free, 1u);
  told();
}

TEST_F(SemaphoresTest, ConsumedPermitThatNobodyReadComesBack) {
  make("s", 1, 1);
  acquire(1, "s", 1, Taking::consume);
  acquire(2, "s", 1, Taking::consume);
  gone(1, true);
  EXPECT_THAT(told(), ElementsAre("1 has", "2 has"));
}

TEST_F(SemaphoresTest, EventLetsAllPassWhileItIsSet) {
  make("s", 0, 1);
  acquire(1, "s", 1, Taking::none);
  acquire(2, "s", 1, Taking::none);
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_EQ(release(3, {.name = "s", .clamp = true}), 1u);
  EXPECT_EQ(release(3, {.name = "s", .clamp = true}), 0u);
  acquire(4, "s", 1, Taking::none);
  EXPECT_THAT(told(), ElementsAre("1 has", "2 has", "4 has"));
  acquire(5, "s", 1, Taking::consume, false);
  acquire(6, "s", 1, Taking::none, false);
  EXPECT_THAT(told(), ElementsAre("5 has", "6 late"));
}

TEST_F(SemaphoresTest, NotifyReachesOnlyThoseWhoWait) {
  make("s", 0, permits_max);
  EXPECT_EQ(release(9, {.name = "s", .count = 1, .waiters_only = true}), 0u);
  for (const CallNumber call : {1, 2, 3}) acquire(call, "s", 1, Taking::consume);
  EXPECT_EQ(release(9, {.name = "s", .count = 2, .waiters_only = true}), 2u);
  EXPECT_THAT(told(), ElementsAre("1 has", "2 has"));
  EXPECT_EQ(release(9, {.name = "s", .count = permits_max, .waiters_only = true}), 1u);
  EXPECT_EQ(semaphores_.find("s")->free, 0u);
  EXPECT_THAT(told(), ElementsAre("3 has"));
}

TEST_F(SemaphoresTest, WhoWaitsForADeletedOneIsTold) {
  make("s", 1, 1);
  acquire(1);
  acquire(2);
  EXPECT_EQ(semaphores_.remove("s", answers_), Refusal::none);
  gone(1);
  EXPECT_THAT(told(), ElementsAre("1 has", "2 refused"));
}

TEST_F(SemaphoresTest, BoundOneGoesWithItsConnection) {
  semaphores_.create({"s", 0, 1, 1, false, 77});
  acquire(1);
  gone(77);
  EXPECT_THAT(told(), ElementsAre("1 refused"));
  EXPECT_EQ(semaphores_.find("s"), nullptr);
}

}  // namespace
}  // namespace poold::sync
