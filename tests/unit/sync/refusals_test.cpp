// What queues and semaphores refuse, and what of them changes nothing.
#include <gmock/gmock.h>

#include "daemon/core/sync/queues.hpp"
#include "daemon/core/sync/semaphores.hpp"

namespace poold::sync {
namespace {

Holder connection(HolderNumber number) { return {number, static_cast<std::int32_t>(1000 + number), 1}; }

class SemaphoreRefusals : public testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(semaphores_.broken_invariant(), ""); }
  Refusal acquire(CallNumber call, const std::string& name, std::uint32_t count) {
    answers_.clear();
    semaphores_.acquire(call, connection(call), name, count, Taking::hold, false, answers_);
    EXPECT_EQ(answers_.size(), 1u);
    return answers_.at(0).refusal;
  }
  Refusal release(HolderNumber by, const Release& what) {
    const Refusal said = semaphores_.refusal_of(connection(by), what);
    const auto released = semaphores_.release(connection(by), what, answers_);
    EXPECT_EQ(said != Refusal::none, std::holds_alternative<Refusal>(released)) << "both say the same";
    if (const auto* refusal = std::get_if<Refusal>(&released)) {
      EXPECT_EQ(said, *refusal);
    }
    return said;
  }

  Semaphores semaphores_;
  SemaphoreAnswers answers_;
};

TEST_F(SemaphoreRefusals, NothingIsKnownOfOneThatIsNotThere) {
  EXPECT_EQ(acquire(1, "s", 1), Refusal::unknown);
  EXPECT_EQ(release(1, {.name = "s"}), Refusal::unknown);
  EXPECT_EQ(semaphores_.remove("s", answers_), Refusal::unknown);
  EXPECT_EQ(semaphores_.find("s"), nullptr);
}

TEST_F(SemaphoreRefusals, ANameIsTakenOnceAndAUserHasSoMany) {
  for (std::uint32_t i = 0; i < user_semaphores_max; ++i)
    ASSERT_EQ(semaphores_.create({"s" + std::to_string(i), 1, 1, 1, false, 0}), Refusal::none);
  EXPECT_EQ(semaphores_.create({"s0", 1, 1, 2, false, 0}), Refusal::exists);
  EXPECT_EQ(semaphores_.create({"one more", 1, 1, 1, false, 0}), Refusal::too_many);
  EXPECT_EQ(semaphores_.create({"another's", 1, 1, 2, false, 0}), Refusal::none);
}

TEST_F(SemaphoreRefusals, MoreThanThereCanBe) {
  ASSERT_EQ(semaphores_.create({"s", 2, 3, 1, false, 0}), Refusal::none);
  EXPECT_EQ(acquire(1, "s", 4), Refusal::never_enough);
  EXPECT_EQ(acquire(1, "s", 3), Refusal::none) << "there may be three one day";
  EXPECT_FALSE(answers_[0].acquired);
  EXPECT_EQ(release(1, {.name = "s", .count = 2}), Refusal::over_maximum);
  EXPECT_EQ(release(1, {.name = "s", .count = 2, .clamp = true}), Refusal::none);
  EXPECT_EQ(semaphores_.find("s")->free, 3u);
  EXPECT_EQ(release(1, {.name = "s", .own_only = true}), Refusal::not_held);
}

TEST_F(SemaphoreRefusals, WhatIsOverIsNotGivenUpOrReturnedAgain) {
  ASSERT_EQ(semaphores_.create({"s", 1, 1, 1, false, 0}), Refusal::none);
  semaphores_.acquire(1, connection(1), "s", 1, Taking::consume, true, answers_);
  answers_.clear();
  semaphores_.give_up(1, true, answers_);
  semaphores_.give_up(99, true, answers_);
  EXPECT_TRUE(answers_.empty());
  // Its last permit was consumed by an answer that nobody read, of a semaphore that went meanwhile.
  ASSERT_EQ(semaphores_.remove("s", answers_), Refusal::none);
  semaphores_.gone(1, true, answers_);
  ASSERT_EQ(semaphores_.create({"s", 0, 1, 1, false, 0}), Refusal::none);
  semaphores_.acquire(2, connection(2), "s", 1, Taking::hold, true, answers_);
  semaphores_.gone(2, false, answers_);
  EXPECT_EQ(semaphores_.find("s")->free, 0u);
}

TEST_F(SemaphoreRefusals, APermitConsumedFromAnEarlierOneOfThatNameDoesNotComeBack) {
  ASSERT_EQ(semaphores_.create({"s", 1, 1, 1, false, 0}), Refusal::none);
  semaphores_.acquire(1, connection(1), "s", 1, Taking::consume, true, answers_);
  ASSERT_EQ(semaphores_.remove("s", answers_), Refusal::none);
  ASSERT_EQ(semaphores_.create({"s", 0, 1, 1, false, 0}), Refusal::none);
  semaphores_.gone(1, true, answers_);
  EXPECT_EQ(semaphores_.find("s")->free, 0u);
}

class QueueRefusals : public testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(queues_.broken_invariant(), ""); }
  Refusal put(CallNumber call, const std::string& text) {
    answers_.clear();
    queues_.put(call, "q", {{"", text}}, false, answers_);
    return answers_.at(0).refusal;
  }

  Queues queues_;
  QueueAnswers answers_;
};

TEST_F(QueueRefusals, NothingIsKnownOfOneThatIsNotThere) {
  EXPECT_EQ(put(1, "text"), Refusal::unknown);
  answers_.clear();
  queues_.get(1, connection(1), "q", 1, true, answers_);
  EXPECT_EQ(answers_.at(0).refusal, Refusal::unknown);
  EXPECT_EQ(queues_.remove("q", answers_), Refusal::unknown);
  EXPECT_EQ(queues_.close("q", answers_), Refusal::unknown);
}

TEST_F(QueueRefusals, AMessageLargerThanTheQueueAndOneForAClosedQueue) {
  ASSERT_EQ(queues_.create({"q", 10, 10, 1, false, 0}), Refusal::none);
  EXPECT_EQ(put(1, "12345678901"), Refusal::too_large);
  EXPECT_EQ(put(2, "1234567890"), Refusal::none);
  ASSERT_EQ(queues_.close("q", answers_), Refusal::none);
  EXPECT_EQ(put(3, "1"), Refusal::closed);
}

TEST_F(QueueRefusals, WhatIsOverIsNotGivenUpOrConfirmedAgain) {
  ASSERT_EQ(queues_.create({"q", 10, 10, 1, false, 0}), Refusal::none);
  ASSERT_EQ(put(1, "text"), Refusal::none);
  queues_.get(2, connection(2), "q", 1, true, answers_);
  answers_.clear();
  queues_.give_up(1, true, answers_);
  queues_.give_up(99, true, answers_);
  queues_.confirm(99, answers_);
  queues_.confirm(2, answers_);
  queues_.confirm(2, answers_);
  EXPECT_TRUE(answers_.empty());
}

TEST_F(QueueRefusals, AQueueThatWentTellsThoseWhoWaitAndCountsWhatIsInFlight) {
  ASSERT_EQ(queues_.create({"q", 1, 10, 1, false, 0}), Refusal::none);
  ASSERT_EQ(put(1, "one"), Refusal::none);
  queues_.get(2, connection(2), "q", 1, true, answers_);
  queues_.get(3, connection(3), "q", 1, true, answers_);
  answers_.clear();
  ASSERT_EQ(queues_.remove("q", answers_), Refusal::none);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].call, 3u);
  EXPECT_EQ(answers_[0].refusal, Refusal::unknown);
  queues_.confirm(2, answers_);
}

TEST_F(QueueRefusals, ACloseRefusesWhatWaitsForRoomAndTheQueueGoesWithItsLastMessage) {
  ASSERT_EQ(queues_.create({"q", 1, 10, 1, false, 0}), Refusal::none);
  ASSERT_EQ(put(1, "one"), Refusal::none);
  answers_.clear();
  queues_.put(2, "q", {{"", "two"}}, true, answers_);
  ASSERT_EQ(queues_.close("q", answers_), Refusal::none);
  EXPECT_EQ(answers_.at(0).refusal, Refusal::closed);
  queues_.get(3, connection(3), "q", 1, true, answers_);
  queues_.confirm(3, answers_);
  EXPECT_EQ(queues_.find("q"), nullptr);
}

}  // namespace
}  // namespace poold::sync
