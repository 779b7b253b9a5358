// The index whose numbers somebody else chooses: numbers in a row are at home, numbers chosen to fall
// together cost little. That it finds what is in it is task_table_test.cpp's.
#include "daemon/core/sequence_index.hpp"

#include <gtest/gtest.h>

namespace poold::core {
namespace {

// Counts how often it is asked: about once for each entry that is looked at.
struct CountingHome {
  std::uint64_t* asked;
  bool* scattered;

  bool scatter() { return !std::exchange(*scattered, true); }
  std::uint64_t operator()(std::uint64_t number) const {
    ++*asked;
    return *scattered ? (number ^ number >> 32) * 0x9e3779b97f4a7c15u >> 20 : number;
  }
};

class Index : public ::testing::Test {
 protected:
  // Puts them in, finds each, and takes them out again; how often homes were asked for each.
  std::uint64_t cost(std::uint64_t count, std::uint64_t stride) {
    SequenceIndex<int, CountingHome> index(CountingHome{&asked_, &scattered_});
    int value = 0;
    for (std::uint64_t i = 1; i <= count; ++i) index.insert(i * stride, &value);
    for (std::uint64_t i = 1; i <= count; ++i) EXPECT_EQ(index.find(i * stride), &value);
    EXPECT_EQ(index.find(count * stride + 1), nullptr);
    for (std::uint64_t i = 1; i <= count; ++i) index.erase(i * stride);
    EXPECT_EQ(index.size(), 0u);
    return asked_ / count;
  }

  std::uint64_t asked_ = 0;
  bool scattered_ = false;
};

TEST_F(Index, NumbersInARowAreAtHome) {
  EXPECT_LE(cost(100'000, 1), 12u);
  EXPECT_FALSE(scattered_);
}

// One that was chosen for something else, in the middle of a long row, moves half of the row by one place.
TEST_F(Index, OneStrangerAmongNumbersInARowChangesNothing) {
  SequenceIndex<int, CountingHome> index(CountingHome{&asked_, &scattered_});
  int value = 0;
  for (std::uint64_t i = 0; i < 100'000; ++i) index.insert(i, &value);
  index.insert((std::uint64_t{1} << 40) + 50'000, &value);
  for (std::uint64_t i = 100'000; i < 200'000; ++i) {
    index.insert(i, &value);
    index.erase(i - 100'000);
  }
  EXPECT_FALSE(scattered_);
  EXPECT_LE(asked_ / 200'000, 12u);
}

TEST_F(Index, NumbersThatFallTogetherAreScattered) {
  EXPECT_LE(cost(100'000, std::uint64_t{1} << 20), 24u);
  EXPECT_TRUE(scattered_);
}

TEST_F(Index, AddressesAreNoWorse) { EXPECT_LE(cost(100'000, 64), 24u); }

}  // namespace
}  // namespace poold::core
