#include "daemon/engine/io/busy_poll.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

namespace poold::engine {
namespace {

class BusyPollTest : public testing::Test {
 protected:
  // How often it looked; the answer does not come.
  std::size_t wait_in_vain(BusyPoll& poll, BusyPoll::History& kind) {
    poll.begin(kind);
    loop_.restart();
    return loop_.run();
  }

  boost::asio::io_context loop_{1};
  BusyPoll poll_{loop_, 2};
  BusyPoll::History workers_, clients_;
};

TEST_F(BusyPollTest, LooksUntilTheSpanIsOver) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_GT(wait_in_vain(poll_, workers_), 0U);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, BusyPoll::span);
}

TEST_F(BusyPollTest, AnswersThatDoNotComeAreWaitedForAsleepEachTimeForTwiceAsMany) {
  for (std::uint32_t left_out = 2; left_out <= 4096; left_out *= 2) {
    ASSERT_GT(wait_in_vain(poll_, workers_), 0U);
    for (std::uint32_t i = 0; i < left_out; ++i) ASSERT_EQ(wait_in_vain(poll_, workers_), 0U);
  }
  // And not for more.
  ASSERT_GT(wait_in_vain(poll_, workers_), 0U);
  for (std::uint32_t i = 0; i < 4096; ++i) ASSERT_EQ(wait_in_vain(poll_, workers_), 0U);
  EXPECT_GT(wait_in_vain(poll_, workers_), 0U);
}

TEST_F(BusyPollTest, OneAnswerInTimeMakesUpForWhatWasMissed) {
  for (std::uint32_t left_out = 2; left_out <= 8; left_out *= 2) {
    wait_in_vain(poll_, workers_);
    for (std::uint32_t i = 0; i < left_out; ++i) wait_in_vain(poll_, workers_);
  }
  poll_.begin(workers_);
  poll_.end();
  EXPECT_GT(wait_in_vain(poll_, workers_), 0U);
  EXPECT_EQ(wait_in_vain(poll_, workers_), 0U);
  EXPECT_EQ(wait_in_vain(poll_, workers_), 0U);
  EXPECT_GT(wait_in_vain(poll_, workers_), 0U);
}

TEST_F(BusyPollTest, LooksNoMoreWhenSomethingHasCome) {
  poll_.begin(workers_);
  poll_.end();
  EXPECT_EQ(loop_.run(), 1U);
}

TEST_F(BusyPollTest, SlowClientsSayNothingAboutWorkers) {
  EXPECT_GT(wait_in_vain(poll_, clients_), 0U);
  EXPECT_EQ(wait_in_vain(poll_, clients_), 0U);
  EXPECT_GT(wait_in_vain(poll_, workers_), 0U);
}

TEST_F(BusyPollTest, NeverLooksOnOneProcessor) {
  BusyPoll poll(loop_, 1);
  EXPECT_EQ(wait_in_vain(poll, workers_), 0U);
}

}  // namespace
}  // namespace poold::engine
