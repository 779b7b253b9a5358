// Each invariant of queues and semaphores notices what it is there for: one thing is damaged by hand, and
// nothing is done after that.
#include <gmock/gmock.h>

#include "daemon/core/sync/queues.hpp"
#include "daemon/core/sync/semaphores.hpp"

namespace poold::sync {
namespace {

constexpr std::uint32_t owner = 7;
Holder connection(HolderNumber number) { return {number, static_cast<std::int32_t>(1000 + number), owner}; }

template <class Table>
struct Damage {
  std::string complaint;
  void (*apply)(Table&);
};

// "s" has 3 permits: 1 and 2 hold one each, 3 waits for two.
void expect_complaints(const std::vector<Damage<Semaphore>>& damages) {
  for (const auto& [complaint, apply] : damages) {
    Semaphores semaphores;
    SemaphoreAnswers answers;
    ASSERT_EQ(semaphores.create({"s", 3, 3, owner, false, 0}), Refusal::none);
    for (const HolderNumber number : {1u, 2u})
      semaphores.acquire(number, connection(number), "s", 1, Taking::hold, true, answers);
    semaphores.acquire(3, connection(3), "s", 2, Taking::hold, true, answers);
    ASSERT_EQ(semaphores.broken_invariant(), "");
    // The tables are nobody's to change: other than here, where they are to be wrong.
    apply(const_cast<Semaphore&>(*semaphores.find("s")));
    EXPECT_EQ(semaphores.broken_invariant(), complaint);
  }
}

// "q" holds one message in flight to 1 and one that waits, and is full: 3 waits to put another.
void expect_complaints(const std::vector<Damage<Queue>>& damages) {
  for (const auto& [complaint, apply] : damages) {
    Queues queues;
    QueueAnswers answers;
    ASSERT_EQ(queues.create({"q", 1, 100, owner, false, 0}), Refusal::none);
    queues.put(1, "q", {{"", "in flight"}}, true, answers);
    queues.get(1, connection(1), "q", 1, true, answers);
    queues.put(2, "q", {{"", "waits"}}, true, answers);
    queues.put(3, "q", {{"", "has no room"}}, true, answers);
    ASSERT_EQ(queues.broken_invariant(), "");
    apply(const_cast<Queue&>(*queues.find("q")));
    EXPECT_EQ(queues.broken_invariant(), complaint);
  }
}

TEST(SemaphoreInvariants, SeeThatPermitsAreWrong) {
  expect_complaints(std::vector<Damage<Semaphore>>{
      {"s: somebody holds nothing", [](Semaphore& s) { s.holdings[0].permits = 0; }},
      {"s: a holder's end would not be noticed", [](Semaphore& s) { s.holdings[0].holder.number = 99; }},
      {"s: more permits than there may be", [](Semaphore& s) { s.holdings[0].permits = 3; }},
      {"s: somebody waits beside free permits", [](Semaphore& s) { s.free = 2, s.holdings.pop_back(); }},
      {"somebody waits for nothing", [](Semaphore& s) { s.line.clear(); }},
      {"uid 7: its semaphores are miscounted", [](Semaphore& s) { s.settings.uid = 8; }},
  });
}

TEST(QueueInvariants, SeeThatMessagesAreWrong) {
  expect_complaints(std::vector<Damage<Queue>>{
      {"q: its bytes are miscounted", [](Queue& q) { ++q.bytes; }},
      {"q: its bytes are miscounted", [](Queue& q) { q.messages.clear(); }},
      {"q: a getter waits beside a message",
       [](Queue& q) {
         q.getters.push_back({9, connection(9), 1});
       }},
      {"q: a putter waits beside room", [](Queue& q) { q.settings.length_max = 2; }},
      {"q: a putter waits for a closed queue", [](Queue& q) { q.closed = true; }},
      {"q: should have gone",
       [](Queue& q) {
         q.closed = true, q.flights = 0, q.bytes = 0;
         q.messages.clear(), q.putters.clear();
       }},
      {"q: its flights are miscounted", [](Queue& q) { ++q.flights; }},
      {"somebody waits for nothing", [](Queue& q) { q.putters.clear(); }},
      {"uid 7: what it has is miscounted", [](Queue& q) { q.settings.uid = 8; }},
      {"uid 7: what it has is miscounted", [](Queue& q) { q.putters[0].messages[0].data += "more"; }},
  });
}

TEST(QueueInvariants, AWaitForRoomOfBytesIsRight) {
  Queues queues;
  QueueAnswers answers;
  ASSERT_EQ(queues.create({"q", 10, 10, owner, false, 0}), Refusal::none);
  queues.put(1, "q", {{"", "8 bytes."}}, true, answers);
  queues.put(2, "q", {{"", "more"}}, true, answers);
  EXPECT_EQ(queues.broken_invariant(), "");
  EXPECT_EQ(queues.find("q")->putters.size(), 1u);
}

TEST(QueueInvariants, AMessageInFlightFromAQueueThatWentIsNobodysAnyMore) {
  Queues queues;
  QueueAnswers answers;
  ASSERT_EQ(queues.create({"q", 10, 100, owner, false, 0}), Refusal::none);
  queues.put(1, "q", {{"", "message"}}, true, answers);
  queues.get(1, connection(1), "q", 1, true, answers);
  ASSERT_EQ(queues.remove("q", answers), Refusal::none);
  EXPECT_EQ(queues.broken_invariant(), "");
  // Another one of that name is not given what it never had.
  ASSERT_EQ(queues.create({"q", 10, 100, owner, false, 0}), Refusal::none);
  EXPECT_EQ(queues.broken_invariant(), "");
  queues.gone(1, true, answers);
  EXPECT_TRUE(queues.find("q")->messages.empty());
  EXPECT_EQ(queues.broken_invariant(), "");
}

}  // namespace
}  // namespace poold::sync
