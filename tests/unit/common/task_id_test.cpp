#include "common/task_id.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace poold {
namespace {

constexpr std::uint64_t ms = 0x0192f0c1a2b3;

TEST(TaskId, IsAUuidOfVersionSevenInLowerCase) {
  EXPECT_EQ(to_string(make_task_id(ms, 0, 0)), "0192f0c1-a2b3-7000-8000-000000000000");
  EXPECT_EQ(to_string(make_task_id(ms, ~std::uint64_t{0}, sequence_max)),
            "0192f0c1-a2b3-7fff-bfff-ffffffffffff");
  EXPECT_EQ(to_string(make_task_id(ms, 0x1'2345'6789, 0xabc)), "0192f0c1-a2b3-748d-8567-890000000abc");
}

TEST(TaskId, HoldsTimeAndSequence) {
  const TaskId id = make_task_id(ms, 12345, 678);
  EXPECT_EQ(unix_ms_of(id), ms);
  EXPECT_EQ(sequence_of(id), 678u);
  EXPECT_EQ(sequence_of(make_task_id(ms, ~std::uint64_t{0}, sequence_max)), sequence_max);
}

TEST(TaskIdDeathTest, SequenceThatDoesNotFit) { EXPECT_DEATH(make_task_id(ms, 0, sequence_max + 1), ""); }

TEST(TaskId, TextAndValueHaveTheSameOrder) {
  const std::vector<TaskId> ids = {
      make_task_id(0, 0, 0),       make_task_id(0, 0, 1),      make_task_id(0, 0, sequence_max),
      make_task_id(ms, 7, 5),      make_task_id(ms, 7, 6),     make_task_id(ms, 7, 1 << 20),
      make_task_id(ms + 1, 7, 0),  make_task_id(ms + 1, 8, 0), make_task_id(ms + 1, 1 << 22, 0),
      make_task_id(ms * 100, 0, 0)};
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  for (std::size_t i = 1; i < ids.size(); ++i) EXPECT_LT(to_string(ids[i - 1]), to_string(ids[i])) << i;
}

TEST(TaskId, RoundTrip) {
  for (const TaskId& id : {make_task_id(ms, 0x2'dead'beef, 0xfedcba9876), TaskId{}, TaskId{~0ull, ~0ull}})
    EXPECT_EQ(parse_task_id(to_string(id)), id);
}

TEST(TaskId, UpperCaseIsRead) {
  EXPECT_EQ(parse_task_id("0192F0C1-A2B3-7000-8000-00000000ABCD"), make_task_id(ms, 0, 0xabcd));
}

TEST(TaskId, Appends) {
  std::string text = "id=";
  append(text, make_task_id(ms, 0, 0));
  EXPECT_EQ(text, "id=0192f0c1-a2b3-7000-8000-000000000000");
}

TEST(TaskId, EveryOtherFormIsRefused) {
  const std::string good = to_string(make_task_id(ms, 1, 2));
  ASSERT_TRUE(parse_task_id(good));
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == '-' ? '0' : '-';
    EXPECT_FALSE(parse_task_id(bad)) << bad;
    for (const char c : {'g', 'G', '/', ':', '@', '`', ' ', '\0', '\xff'}) {
      bad[i] = c;
      EXPECT_FALSE(parse_task_id(bad)) << bad;
    }
    bad = good;
    EXPECT_FALSE(parse_task_id(bad.erase(i, 1)));
    EXPECT_FALSE(parse_task_id(std::string(good).insert(i, "0")));
  }
  EXPECT_FALSE(parse_task_id(""));
  EXPECT_FALSE(parse_task_id(good + "\n"));
  EXPECT_FALSE(parse_task_id(" " + good));
  EXPECT_FALSE(parse_task_id("{" + good + "}"));
  EXPECT_FALSE(parse_task_id("0192f0c1a2b370008000000000000000"));
}

}  // namespace
}  // namespace poold
