#include "common/result_ring.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace poold {
namespace {

std::string framed(std::string_view payload) {
  std::string out;
  append_frame(out, payload);
  return out;
}

// Both sides of one ring, as two mappings of the same memory.
struct Sides {
  FileDescriptor memory = make_result_ring();
  ResultRing writer = *ResultRing::map(memory);
  ResultRing reader = *ResultRing::map(memory);
  FrameReader frames;

  std::vector<std::string> take() {
    EXPECT_TRUE(reader.take(frames));
    std::vector<std::string> payloads;
    for (;;) {
      const FrameResult next = frames.next();
      const auto* frame = std::get_if<Frame>(&next);
      if (!frame) return payloads;
      payloads.emplace_back(frame->payload);
    }
  }
};

TEST(ResultRing, WhatWasPutIsTakenInOrder) {
  Sides sides;
  EXPECT_TRUE(sides.writer.put(framed("one") + framed("two")));
  EXPECT_TRUE(sides.writer.put(framed("three")));
  EXPECT_FALSE(sides.writer.empty());
  EXPECT_EQ(sides.take(), (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_TRUE(sides.writer.empty());
  EXPECT_EQ(sides.take(), std::vector<std::string>{});
}

TEST(ResultRing, WhatIsInItOutlivesItsWriter) {
  Sides sides;
  {
    ResultRing writer = std::move(sides.writer);
    writer.put(framed("last words"));
  }
  EXPECT_EQ(sides.take(), std::vector<std::string>{"last words"});
}

TEST(ResultRing, AFullRingTakesNothingUntilItIsRead) {
  Sides sides;
  const std::string frame = framed(std::string(1000, 'x'));
  std::size_t count = 0;
  while (sides.writer.put(frame)) ++count;
  EXPECT_EQ(count, 64u * 1024 / frame.size());
  EXPECT_EQ(sides.take().size(), count);
  EXPECT_TRUE(sides.writer.put(frame));
}

TEST(ResultRing, AFrameThatIsLargerThanTheRingIsRefused) {
  Sides sides;
  EXPECT_FALSE(sides.writer.put(framed(std::string(64 * 1024, 'x'))));
  EXPECT_EQ(sides.take(), std::vector<std::string>{});
}

TEST(ResultRing, ManyFramesGoAroundTheEnd) {
  Sides sides;
  constexpr int count = 200'000;
  std::thread writer([&] {
    for (int i = 0; i < count; ++i) {
      const std::string frame = framed(std::string(i % 97, 'x') + std::to_string(i));
      while (!sides.writer.put(frame)) std::this_thread::yield();
    }
  });
  int next = 0;
  while (next < count) {
    for (const std::string& payload : sides.take()) {
      ASSERT_EQ(payload, std::string(next % 97, 'x') + std::to_string(next));
      ++next;
    }
  }
  writer.join();
}

TEST(ResultRing, APositionThatCannotBeTrueIsNoticed) {
  Sides sides;
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, sides.memory.get(), 0);
  ASSERT_NE(memory, MAP_FAILED);
  *static_cast<std::uint64_t*>(memory) = 64 * 1024 + 1;
  EXPECT_FALSE(sides.reader.take(sides.frames));
  *static_cast<std::uint64_t*>(memory) = ~std::uint64_t{0};
  EXPECT_FALSE(sides.reader.take(sides.frames));
  ::munmap(memory, 4096);
}

TEST(ResultRing, ItsSizeCannotBeChanged) {
  Sides sides;
  EXPECT_LT(::ftruncate(sides.memory.get(), 0), 0);
  EXPECT_EQ(errno, EPERM);
}

TEST(ResultRing, OtherMemoryIsNoRing) {
  FileDescriptor unsealed(::memfd_create("x", MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(unsealed.get(), 4096 + 64 * 1024), 0);
  EXPECT_FALSE(ResultRing::map(unsealed));
  FileDescriptor small(::memfd_create("x", MFD_ALLOW_SEALING));
  ASSERT_EQ(::fcntl(small.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
  EXPECT_FALSE(ResultRing::map(small));
  EXPECT_FALSE(ResultRing::map(FileDescriptor(::open("/dev/null", O_RDWR | O_CLOEXEC))));
}

}  // namespace
}  // namespace poold
