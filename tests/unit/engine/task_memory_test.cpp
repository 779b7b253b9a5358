#include "daemon/engine/store/task_memory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace poold::engine {
namespace {

constexpr std::uint32_t ann = 1000, bob = 1001;

FileDescriptor memory() { return FileDescriptor(::memfd_create("test", MFD_CLOEXEC)); }

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

class MemoryLedgerTest : public testing::Test {
 protected:
  using Held = std::variant<std::shared_ptr<SharedPayload>, std::string>;

  Held hold(std::uint64_t size, std::uint32_t uid) { return ledger_->hold(memory(), size, uid); }

  std::shared_ptr<SharedPayload> held(std::uint64_t size, std::uint32_t uid) {
    Held answer = hold(size, uid);
    EXPECT_TRUE(std::holds_alternative<std::shared_ptr<SharedPayload>>(answer));
    return std::get<std::shared_ptr<SharedPayload>>(std::move(answer));
  }

  std::string refusal(std::uint64_t size, std::uint32_t uid) {
    const Held answer = hold(size, uid);
    return std::holds_alternative<std::string>(answer) ? std::get<std::string>(answer) : "";
  }

  void expect_total(std::uint32_t payloads, std::uint64_t bytes) {
    EXPECT_EQ(ledger_->total().payloads, payloads);
    EXPECT_EQ(ledger_->total().bytes, bytes);
  }

  std::shared_ptr<MemoryLedger> ledger_ = std::make_shared<MemoryLedger>(MemoryUse{3, 1000});
};

TEST_F(MemoryLedgerTest, WhatIsLetGoIsClosedAndFreesItsPlace) {
  auto payload = held(400, ann);
  const int fd = payload->memory().get();
  EXPECT_TRUE(is_open(fd));
  expect_total(1, 400);
  payload.reset();
  EXPECT_FALSE(is_open(fd));
  expect_total(0, 0);
}

TEST_F(MemoryLedgerTest, BytesUpToTheLimitAndNotOneMore) {
  const auto first = held(999, ann);
  EXPECT_EQ(refusal(2, ann),
            "shared memory: you have 999 bytes in it, and 2 would be added; one user may have 1000");
  const auto second = held(1, ann);
  EXPECT_NE(refusal(1, ann), "");
  EXPECT_EQ(ledger_->refused(), 2U);
  expect_total(2, 1000);
}

TEST_F(MemoryLedgerTest, PayloadsUpToTheLimitHoweverSmall) {
  const std::vector<std::shared_ptr<SharedPayload>> all{held(0, ann), held(1, ann), held(2, ann)};
  EXPECT_EQ(refusal(0, ann), "shared memory: you have 3 payloads in it; one user may have 3");
  expect_total(3, 3);
}

TEST_F(MemoryLedgerTest, SizeThatWouldWrapAroundIsRefused) {
  const auto payload = held(600, ann);
  EXPECT_NE(refusal(~std::uint64_t{0}, ann), "");
  EXPECT_NE(refusal(~std::uint64_t{0} - 500, ann), "");
  expect_total(1, 600);
}

TEST_F(MemoryLedgerTest, OneUserDoesNotTakeAnothersShare) {
  auto of_ann = held(1000, ann);
  EXPECT_NE(refusal(1, ann), "");
  const auto of_bob = held(1000, bob);
  expect_total(2, 2000);
  of_ann.reset();
  EXPECT_NE(refusal(1, bob), "");
  EXPECT_EQ(refusal(1000, ann), "");
}

TEST_F(MemoryLedgerTest, RefusedMemoryIsClosed) {
  const auto full = held(1000, ann);
  FileDescriptor more = memory();
  const int fd = more.get();
  EXPECT_TRUE(std::holds_alternative<std::string>(ledger_->hold(std::move(more), 1, ann)));
  more.reset();
  EXPECT_FALSE(is_open(fd));
}

TEST_F(MemoryLedgerTest, PayloadOutlivesWhoMadeTheLedger) {
  auto payload = held(10, ann);
  const std::weak_ptr<MemoryLedger> ledger = ledger_;
  ledger_.reset();
  EXPECT_FALSE(ledger.expired());
  payload.reset();
  EXPECT_TRUE(ledger.expired());
}

TEST_F(MemoryLedgerTest, TheGoneAreKnownWhileThereIsSomethingToLose) {
  ledger_->note_gone(7);
  EXPECT_FALSE(ledger_->is_gone(7)) << "nobody has anything";
  const auto payload = held(10, ann);
  ledger_->note_gone(8);
  EXPECT_TRUE(ledger_->is_gone(8));
  EXPECT_FALSE(ledger_->is_gone(9));
}

TEST(TaskMemory, MostTasksHaveNone) {
  core::Task task;
  EXPECT_EQ(memory_of(task), nullptr);
  TaskMemory& given = give_memory(task);
  EXPECT_EQ(memory_of(task), &given);
  EXPECT_EQ(&give_memory(task), &given) << "the same once more";
  EXPECT_FALSE(given.argument || given.result || given.had_argument);
}

}  // namespace
}  // namespace poold::engine
