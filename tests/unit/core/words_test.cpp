// Words that people read: each state and outcome has one, and no two have the same. And the edges of a rate.
#include <gtest/gtest.h>

#include <string>

#include "daemon/core/rate.hpp"
#include "daemon/core/types.hpp"

namespace poold::core {
namespace {

using namespace std::chrono_literals;

// Of all from the first to `last`.
template <class Enum>
std::string words(Enum last) {
  std::string text;
  for (int i = 0; i <= static_cast<int>(last); ++i) text += std::string(name(static_cast<Enum>(i))) + " ";
  return text;
}

TEST(Words, OfEachStateAreThoseOfTheManual) {
  EXPECT_EQ(words(TaskState::cancelled), "WAITING QUEUED RUNNING SUCCEEDED FAILED CANCELLED ");
  EXPECT_EQ(words(PoolState::throttled), "STARTING READY PAUSED DRAINING THROTTLED ");
  EXPECT_EQ(words(WorkerState::stopping), "VACANT STARTING IDLE BUSY RETIRING STOPPING ");
}

TEST(Words, OfEachOutcomeAreThoseOfTheProtocol) {
  EXPECT_EQ(words(OutcomeKind::rejected),
            "KIND_UNSPECIFIED EXITED RETURNED RAISED SIGNALED TIMED_OUT OUT_OF_MEMORY WORKER_LOST CANCELLED "
            "EXPIRED REJECTED ");
}

constexpr Time start = Time{} + 1h;

TEST(Rate, OfMoreThanOneANanosecondIsOneANanosecond) {
  EXPECT_EQ((Rate{10, 1ns, 1}.interval()), 1ns);
  EXPECT_FALSE(Rate{});
}

TEST(Rate, ABurstIsUsedUpAndComesBackOneByOne) {
  const Rate rate{10, 1s, 3};
  Bucket bucket;
  for (const std::uint32_t left : {3u, 2u, 1u, 0u}) {
    EXPECT_EQ(bucket.available(rate, start), left);
    if (left > 0) bucket.take(rate, start);
  }
  EXPECT_EQ(bucket.when(rate, start, 1), start + 100ms);
  EXPECT_EQ(bucket.when(rate, start, 3), start + 300ms);
  EXPECT_EQ(bucket.available(rate, start + 100ms - 1ns), 0u);
  EXPECT_EQ(bucket.available(rate, start + 100ms), 1u);
  EXPECT_EQ(bucket.available(rate, start + 1h), 3u);
}

TEST(Rate, AStartThatDidNotHappenIsGivenBack) {
  const Rate rate{10, 1s, 1};
  Bucket bucket;
  bucket.take(rate, start);
  bucket.give_back(rate);
  EXPECT_EQ(bucket.available(rate, start), 1u);
}

TEST(Rate, ThatBecameSlowerWhileTheBucketWasInDebtLetsNothingStart) {
  Bucket bucket;
  for (int i = 0; i < 10; ++i) bucket.take({1, 1s, 10}, start);
  const Rate slower{1, 1s, 2};
  EXPECT_EQ(bucket.available(slower, start), 0u);
  EXPECT_EQ(bucket.when(slower, start, 1), start + 9s);
}

}  // namespace
}  // namespace poold::core
