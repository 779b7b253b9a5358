// Bytes into lines, however they come.
#include "daemon/worker/line_reader.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace poold::worker {
namespace {

std::vector<std::string> take_all(LineReader& reader) {
  std::vector<std::string> lines;
  while (const auto line = reader.next()) lines.emplace_back(*line);
  return lines;
}

using Lines = std::vector<std::string>;

TEST(LineReader, LinesThatComeByteByByte) {
  LineReader reader(10);
  Lines lines;
  for (const char byte : std::string("first\n\nlast\n")) {
    reader.feed({&byte, 1});
    for (std::string& line : take_all(reader)) lines.push_back(std::move(line));
  }
  EXPECT_EQ(lines, (Lines{"first", "", "last"}));
}

TEST(LineReader, ManyLinesInOnePieceAndAHalfOne) {
  LineReader reader(10);
  reader.feed("a\nb\nc");
  EXPECT_EQ(take_all(reader), (Lines{"a", "b"}));
  reader.feed("d\n");
  EXPECT_EQ(take_all(reader), (Lines{"cd"}));
}

TEST(LineReader, LineOfTheGreatestLength) {
  LineReader reader(10);
  reader.feed("0123456789");
  EXPECT_EQ(take_all(reader), Lines{});
  EXPECT_FALSE(reader.too_long());
  reader.feed("\n");
  EXPECT_EQ(take_all(reader), Lines{"0123456789"});
}

TEST(LineReader, LongerOneIsKnownBeforeItsEndAndNothingFollows) {
  LineReader reader(10);
  reader.feed("good\n0123456789x");
  EXPECT_EQ(take_all(reader), Lines{"good"});
  EXPECT_TRUE(reader.too_long());
  reader.feed("\nnever seen\n");
  EXPECT_EQ(take_all(reader), Lines{});
}

TEST(LineReader, LongerOneWithItsEndIsTooLong) {
  LineReader reader(3);
  reader.feed("1234\n12\n");
  EXPECT_EQ(take_all(reader), Lines{});
  EXPECT_TRUE(reader.too_long());
}

}  // namespace
}  // namespace poold::worker
