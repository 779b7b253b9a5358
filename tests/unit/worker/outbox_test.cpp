// What a worker keeps until its engine has acknowledged it, and what it names to the next engine.
#include <gtest/gtest.h>

#include <vector>

#include "client/cpp/src/worker_channel.hpp"
#include "poold/v1/worker.pb.h"

namespace poold::worker {
namespace {

v1::FromWorker result_of(std::uint64_t task, std::uint32_t attempt) {
  v1::FromWorker message;
  message.mutable_result()->set_task(task);
  message.mutable_result()->set_attempt(attempt);
  return message;
}

v1::FromWorker output_of(std::uint64_t task, std::uint32_t attempt) {
  v1::FromWorker message;
  message.mutable_output()->set_task(task);
  message.mutable_output()->set_attempt(attempt);
  return message;
}

std::vector<std::uint64_t> owed(const Outbox& outbox) {
  std::vector<std::uint64_t> tasks;
  outbox.each_owed([&](std::uint64_t task) { tasks.push_back(task); });
  return tasks;
}

using Tasks = std::vector<std::uint64_t>;

TEST(Outbox, ResultsAreOwedInTheirOrderUntilTheyAreAcknowledged) {
  Outbox outbox;
  outbox.keep();
  for (const std::uint64_t task : {3, 1, 2}) outbox.add_result(result_of(task, 1), task);
  EXPECT_EQ(owed(outbox), (Tasks{3, 1, 2}));
  outbox.acknowledge(1);
  EXPECT_EQ(owed(outbox), (Tasks{3, 2}));
  outbox.acknowledge(9);
  outbox.acknowledge(3);
  outbox.acknowledge(2);
  EXPECT_TRUE(outbox.acknowledged());
}

TEST(Outbox, WhatOnlyHasOutputOwesNoResult) {
  Outbox outbox;
  outbox.keep();
  outbox.add_before_result(output_of(1, 1), 1);
  EXPECT_EQ(owed(outbox), Tasks{});
  outbox.add_result(result_of(1, 1), 1);
  EXPECT_EQ(owed(outbox), Tasks{1});
  outbox.acknowledge(1);
  EXPECT_TRUE(outbox.acknowledged()) << "its output goes with it";
}

// An engine died after it had handed out the next attempt and before it acknowledged the result of this one.
TEST(Outbox, ResultOfAnAttemptIsOwedBesideTheNextAttempt) {
  Outbox outbox;
  outbox.keep();
  outbox.add_result(result_of(1, 1), 1);
  outbox.add_before_result(output_of(1, 2), 1);
  EXPECT_EQ(owed(outbox), Tasks{1}) << "the caller adds what runs, so that the task is named twice";
  outbox.add_result(result_of(1, 2), 1);
  EXPECT_EQ(owed(outbox), (Tasks{1, 1}));
  outbox.acknowledge(1);
  EXPECT_EQ(owed(outbox), Tasks{1}) << "the second result has not been acknowledged";
  outbox.acknowledge(1);
  EXPECT_TRUE(outbox.acknowledged());
}

TEST(Outbox, NothingIsKeptForAPoolInMemory) {
  Outbox outbox;
  outbox.add_result(result_of(1, 1), 1);
  EXPECT_TRUE(outbox.acknowledged());
  EXPECT_FALSE(outbox.empty());
}

}  // namespace
}  // namespace poold::worker
