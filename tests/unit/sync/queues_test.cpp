// Queues of messages, one situation a test.
#include "daemon/core/sync/queues.hpp"

#include <gmock/gmock.h>

namespace poold::sync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Queues, what they have answered, in words, and a check of everything after each step.
class QueuesTest : public testing::Test {
 protected:
  void make(const std::string& name, std::uint32_t length = 100, std::uint64_t bytes = 1000) {
    EXPECT_EQ(queues_.create({name, length, bytes, 1, false, 0}), Refusal::none);
  }
  static Messages messages(const std::vector<std::string>& texts) {
    Messages made;
    for (const std::string& text : texts) made.push_back({"", text});
    return made;
  }
  void put(CallNumber call, const std::vector<std::string>& texts, bool wait = true) {
    queues_.put(call, "q", messages(texts), wait, answers_);
  }
  void get(CallNumber call, std::uint32_t count = 1, bool wait = true) {
    // Each call on a connection of its own.
    queues_.get(call, {call, 0, 1}, "q", count, wait, answers_);
  }

  std::vector<std::string> told() {
    EXPECT_EQ(queues_.broken_invariant(), "");
    std::vector<std::string> words;
    for (const QueueAnswer& answer : answers_) {
      std::string text = std::to_string(answer.call) + ":";
      switch (answer.kind) {
        case QueueAnswer::Kind::put:
          text += " put " + std::to_string(answer.put);
          break;
        case QueueAnswer::Kind::got:
          text += " got";
          if (answer.messages)
            for (const Message& message : *answer.messages) text += " " + message.data;
          break;
        case QueueAnswer::Kind::refused:
          text += " refused " + std::to_string(static_cast<int>(answer.refusal));
      }
      words.push_back(text);
    }
    answers_.clear();
    return words;
  }
  static std::string refused(CallNumber call, Refusal refusal) {
    return std::to_string(call) + ": refused " + std::to_string(static_cast<int>(refusal));
  }

  Queues queues_;
  QueueAnswers answers_;
};

TEST_F(QueuesTest, MessagesComeOutInTheirOrder) {
  make("q");
  put(1, {"a", "b"});
  put(2, {"c"});
  get(3);
  get(4, 5);
  EXPECT_THAT(told(), ElementsAre("1: put 2", "2: put 1", "3: got a", "4: got b c"));
}

TEST_F(QueuesTest, GettersAreServedInTheirOrder) {
  make("q");
  get(1);
  get(2);
  EXPECT_THAT(told(), IsEmpty());
  put(3, {"a", "b", "c"});
  EXPECT_THAT(told(), ElementsAre("3: put 3", "1: got a", "2: got b"));
}

TEST_F(QueuesTest, FullQueueLetsPuttersWaitInTheirOrder) {
  make("q", 1);
  put(1, {"a", "b"});
  put(2, {"c"});
  EXPECT_THAT(told(), IsEmpty());
  get(3);
  EXPECT_THAT(told(), ElementsAre("3: got a", "1: put 2"));
  get(4);
  EXPECT_THAT(told(), ElementsAre("4: got b", "2: put 1"));
}

TEST_F(QueuesTest, BytesBoundAQueueToo) {
  make("q", 100, 10);
  put(1, {"123456"});
  put(2, {"12345"}, false);
  put(3, {"1234"}, false);
  put(4, {"12345678901"});
  EXPECT_THAT(told(), ElementsAre("1: put 1", "2: put 0", "3: put 1", refused(4, Refusal::too_large)));
}

TEST_F(QueuesTest, TimeOutSaysHowMuchIsIn) {
  make("q", 2);
  put(1, {"a", "b", "c"});
  get(2, 1, false);
  EXPECT_THAT(told(), ElementsAre("2: got a", "1: put 3"));
  put(3, {"d"});
  queues_.give_up(3, true, answers_);
  EXPECT_THAT(told(), ElementsAre("3: put 0"));
  get(4, 10);
  get(5);
  queues_.give_up(5, true, answers_);
  EXPECT_THAT(told(), ElementsAre("4: got b c", "5: got"));
}

TEST_F(QueuesTest, WhoHasGoneIsNotServed) {
  make("q");
  get(1);
  get(2);
  queues_.give_up(1, false, answers_);
  put(3, {"a"});
  EXPECT_THAT(told(), ElementsAre("3: put 1", "2: got a"));
}

TEST_F(QueuesTest, SmallMessageFollowsWhenALargeOneIsGivenUp) {
  make("q", 100, 10);
  put(1, {"12345678"});
  put(2, {"12345"});
  put(3, {"1"});
  queues_.give_up(2, false, answers_);
  EXPECT_THAT(told(), ElementsAre("1: put 1", "3: put 1"));
}

TEST_F(QueuesTest, UnreadMessageGoesBackToTheHead) {
  make("q");
  put(1, {"a", "b", "c"});
  get(2, 2);
  queues_.gone(2, true, answers_);
  get(3, 3);
  EXPECT_THAT(told(), ElementsAre("1: put 3", "2: got a b", "3: got a b c"));
}

TEST_F(QueuesTest, UnreadMessageGoesToTheNextWhoWaits) {
  make("q");
  get(1);
  get(2);
  put(3, {"a"});
  queues_.gone(1, true, answers_);
  EXPECT_THAT(told(), ElementsAre("3: put 1", "1: got a", "2: got a"));
}

TEST_F(QueuesTest, ReadMessageDoesNotComeBack) {
  make("q");
  put(1, {"a", "b"});
  get(2);
  queues_.confirm(2, answers_);
  queues_.gone(2, true, answers_);
  get(3);
  queues_.gone(3, false, answers_);
  get(4, 1, false);
  EXPECT_THAT(told(), ElementsAre("1: put 2", "2: got a", "3: got b", "4: got"));
}

TEST_F(QueuesTest, ClosedQueueGivesWhatItHas) {
  make("q", 1);
  put(1, {"a"});
  put(2, {"b"});
  EXPECT_EQ(queues_.close("q", answers_), Refusal::none);
  put(3, {"c"});
  get(4);
  get(5);
  EXPECT_THAT(told(),
              ElementsAre("1: put 1", refused(2, Refusal::closed), refused(3, Refusal::closed), "4: got a"));
  // It may come back until it was read.
  queues_.gone(4, true, answers_);
  EXPECT_THAT(told(), ElementsAre("5: got a"));
  get(6);
  queues_.confirm(5, answers_);
  EXPECT_THAT(told(), ElementsAre(refused(6, Refusal::unknown)));
  EXPECT_EQ(queues_.find("q"), nullptr);
}

TEST_F(QueuesTest, WhoWaitsForADeletedQueueIsTold) {
  make("q", 1);
  put(1, {"a"});
  put(2, {"b"});
  EXPECT_EQ(queues_.remove("q", answers_), Refusal::none);
  EXPECT_THAT(told(), ElementsAre("1: put 1", refused(2, Refusal::unknown)));
  make("q");
  get(3);
  EXPECT_EQ(queues_.remove("q", answers_), Refusal::none);
  EXPECT_EQ(queues_.remove("q", answers_), Refusal::unknown);
  EXPECT_THAT(told(), ElementsAre(refused(3, Refusal::unknown)));
}

TEST_F(QueuesTest, UnreadMessageOfADeletedQueueIsNotPutIntoTheNextOfThatName) {
  make("q");
  put(1, {"a"});
  get(2);
  queues_.remove("q", answers_);
  make("q");
  queues_.gone(2, true, answers_);
  get(3, 1, false);
  EXPECT_THAT(told(), ElementsAre("1: put 1", "2: got a", "3: got"));
}

TEST_F(QueuesTest, BoundQueueGoesWithItsConnection) {
  queues_.create({"q", 10, 100, 1, false, 77});
  make("other");
  get(1);
  queues_.gone(77, false, answers_);
  EXPECT_THAT(told(), ElementsAre(refused(1, Refusal::unknown)));
  EXPECT_NE(queues_.find("other"), nullptr);
}

TEST_F(QueuesTest, OneUserHasSoManyQueuesAndBytes) {
  for (std::uint32_t i = 0; i < user_queues_max; ++i) make("q" + std::to_string(i), 2, queue_bytes_max);
  EXPECT_EQ(queues_.create({"one more", 1, 1, 1, false, 0}), Refusal::too_many);
  EXPECT_EQ(queues_.create({"of another", 1, 1, 2, false, 0}), Refusal::none);
  queues_.remove("q7", answers_);
  make("one more");
}

TEST_F(QueuesTest, NameIsTaken) {
  make("q");
  EXPECT_EQ(queues_.create({"q", 1, 1, 1, false, 0}), Refusal::exists);
  get(1);
  EXPECT_THAT(told(), IsEmpty());
}

}  // namespace
}  // namespace poold::sync
