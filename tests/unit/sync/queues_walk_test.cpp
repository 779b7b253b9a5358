// Random walks over queues: clients put, get, read, vanish and give up; every message is somewhere, once, and
// those that nobody gave back come out in the order in which they went in.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "daemon/core/sync/queues.hpp"

namespace poold::sync {
namespace {

constexpr int clients = 8, steps = 1'000;

class Walk {
 public:
  explicit Walk(std::uint32_t seed) : chance_(seed) { queues_.create({"q", 3, 1000, 1, false, 0}); }

  void run() {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      one_step();
      take_answers();
      ASSERT_EQ(queues_.broken_invariant(), "") << "step " << i;
      check();
    }
  }

 private:
  struct Client {
    HolderNumber holder = 0;
    CallNumber waits = 0;
    std::vector<int> unread, putting;
  };

  std::uint32_t below(std::uint32_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(chance_);
  }

  void one_step() {
    Client& client = clients_[below(clients)];
    if (client.holder == 0) client.holder = ++last_holder_;
    if (client.waits != 0) {
      if (below(3) > 0) return;
      const bool gone = below(2) == 0;
      queues_.give_up(client.waits, !gone, answers_);
      if (gone) vanish(client, true);
      return;
    }
    switch (below(4)) {
      case 0:
        return vanish(client, below(2) == 0);
      case 1: {
        read(client);
        Messages messages;
        for (std::uint32_t i = below(3) + 1; i > 0; --i) {
          messages.push_back({"", std::to_string(++last_message_)});
          client.putting.push_back(last_message_);
        }
        client.waits = ++last_call_;
        return queues_.put(client.waits, "q", std::move(messages), below(3) > 0, answers_);
      }
      default:
        read(client);
        client.waits = ++last_call_;
        return queues_.get(client.waits, {client.holder, 1, 1}, "q", below(3) + 1, below(3) > 0, answers_);
    }
  }

  void read(Client& client) {
    queues_.confirm(client.holder, answers_);
    for (const int message : client.unread) EXPECT_TRUE(done_.insert(message).second) << message << " twice";
    client.unread.clear();
  }

  void vanish(Client& client, bool unread) {
    if (!unread) read(client);
    take_answers();
    for (const int message : client.unread) in_.insert(message);
    queues_.gone(client.holder, unread, answers_);
    client = {};
    take_answers();
  }

  void take_answers() {
    const QueueAnswers answers = std::exchange(answers_, {});
    // Those that went in first: a message may be given out by the same step.
    for (const bool puts : {true, false})
      for (const QueueAnswer& answer : answers) take(answer, puts);
  }

  void take(const QueueAnswer& answer, bool puts) {
    const auto at = std::ranges::find(clients_, answer.call, &Client::waits);
    if (at == std::end(clients_)) return;
    if (answer.kind == QueueAnswer::Kind::put && puts) {
      for (std::uint32_t i = 0; i < answer.put; ++i) in_.insert(at->putting[i]);
      for (std::size_t i = answer.put; i < at->putting.size(); ++i) refused_.insert(at->putting[i]);
      at->putting.clear();
      at->waits = 0;
    }
    if (answer.kind == QueueAnswer::Kind::got && !puts) {
      at->waits = 0;
      if (!answer.messages) return;
      for (const Message& message : *answer.messages) {
        in_.erase(std::stoi(message.data));
        at->unread.push_back(std::stoi(message.data));
      }
    }
  }

  // Each message that was ever put is in the queue, with one client, read, or refused; nothing else is.
  void check() {
    std::multiset<int> somewhere(done_.begin(), done_.end());
    somewhere.insert(refused_.begin(), refused_.end());
    std::vector<int> queued;
    for (const Message& message : queues_.find("q")->messages) queued.push_back(std::stoi(message.data));
    somewhere.insert(queued.begin(), queued.end());
    for (const Putter& putter : queues_.find("q")->putters)
      for (const Message& message : putter.messages) somewhere.insert(std::stoi(message.data));
    for (const Client& client : clients_) somewhere.insert(client.unread.begin(), client.unread.end());
    for (int message = 1; message <= last_message_; ++message) {
      // What its putter took back with it when it vanished, or what is partly in, may be nowhere.
      ASSERT_LE(somewhere.count(message), 1u) << message << " is in two places";
      if (in_.contains(message)) {
        ASSERT_EQ(somewhere.count(message), 1u) << message << " is lost";
      }
    }
  }

  std::mt19937 chance_;
  Queues queues_;
  QueueAnswers answers_;
  Client clients_[clients];
  std::set<int> in_, done_, refused_;
  HolderNumber last_holder_ = 0;
  CallNumber last_call_ = 0;
  int last_message_ = 0;
};

TEST(QueuesWalk, NoMessageIsLostOrDoubled) {
  for (std::uint32_t seed = 0; seed < 50 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Walk(seed).run();
  }
}

}  // namespace
}  // namespace poold::sync
