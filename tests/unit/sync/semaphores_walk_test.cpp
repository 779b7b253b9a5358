// Random walks over a semaphore beside a model of it: a line of waiters, and who holds what.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>

#include "daemon/core/sync/semaphores.hpp"

namespace poold::sync {
namespace {

constexpr int clients = 8, steps = 4'000;

class Walk {
 public:
  explicit Walk(std::uint32_t seed) : chance_(seed) { semaphores_.create({"s", 3, 5, 1, false, 0}); }

  void run() {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      one_step(1 + below(clients));
      serve_model();
      compare(i);
    }
  }

 private:
  std::uint32_t below(std::uint32_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(chance_);
  }
  bool waits(HolderNumber client) {
    return std::ranges::any_of(line_, [&](const auto& waiter) { return waiter.first == client; });
  }

  // A client's number is its connection, its process, and its call.
  void one_step(HolderNumber client) {
    const Holder holder{client, static_cast<std::int32_t>(client), 1};
    if (waits(client)) {
      if (below(2) == 0) return;
      std::erase_if(line_, [&](const auto& waiter) { return waiter.first == client; });
      semaphores_.give_up(client, false, answers_);
      if (below(2) == 0) vanish(client);
      return;
    }
    const std::uint32_t count = 1 + below(2);
    switch (below(4)) {
      case 0:
        return vanish(client);
      case 1: {
        const bool own = held_[client] >= count;
        const auto released =
            semaphores_.release(holder, {.name = "s", .count = count, .own_only = true}, answers_);
        ASSERT_EQ(std::holds_alternative<std::uint32_t>(released), own);
        if (own) held_[client] -= count, free_ += count;
        return;
      }
      default:
        line_.emplace_back(client, count);
        return semaphores_.acquire(client, holder, "s", count, Taking::hold, true, answers_);
    }
  }

  void vanish(HolderNumber client) {
    free_ += std::exchange(held_[client], 0);
    semaphores_.gone(client, below(2) == 0, answers_);
  }

  void serve_model() {
    for (; !line_.empty() && line_.front().second <= free_; line_.pop_front()) {
      free_ -= line_.front().second;
      held_[line_.front().first] += line_.front().second;
      served_.push_back(line_.front().first);
    }
  }

  void compare(int step) {
    ASSERT_EQ(semaphores_.broken_invariant(), "") << "step " << step;
    std::vector<HolderNumber> served;
    for (const SemaphoreAnswer& answer : answers_)
      if (answer.acquired) served.push_back(answer.call);
    ASSERT_EQ(served, served_) << "step " << step;
    answers_.clear();
    served_.clear();
    const Semaphore& semaphore = *semaphores_.find("s");
    ASSERT_EQ(semaphore.free, free_) << "step " << step;
    for (const Holding& holding : semaphore.holdings)
      ASSERT_EQ(holding.permits, held_[holding.holder.number]);
    ASSERT_EQ(semaphore.free + semaphore.held(), 3u);
  }

  std::mt19937 chance_;
  Semaphores semaphores_;
  SemaphoreAnswers answers_;
  std::uint32_t free_ = 3;
  std::map<HolderNumber, std::uint32_t> held_;
  std::deque<std::pair<HolderNumber, std::uint32_t>> line_;
  std::vector<HolderNumber> served_;
};

TEST(SemaphoresWalk, GoesAsTheModelGoes) {
  for (std::uint32_t seed = 0; seed < 50 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Walk(seed).run();
  }
}

}  // namespace
}  // namespace poold::sync
