#include "daemon/supervisor/text.hpp"

#include <gtest/gtest.h>

namespace poold::supervisor {
namespace {

TEST(Printable, LeavesUtf8AsItIs) { EXPECT_EQ(printable("naïve 日本 𝄞"), "naïve 日本 𝄞"); }

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("a\nb\x1b[31m\x7f"), "a\\x0ab\\x1b[31m\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");  // CSI as a C1 character
}

TEST(Printable, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");           // longer than needed
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(printable("end\xe6\x97"), "end\\xe6\\x97");
}

TEST(Printable, CutsBetweenCharacters) { EXPECT_EQ(printable("日本日本", 4), "日本..."); }

}  // namespace
}  // namespace poold::supervisor
