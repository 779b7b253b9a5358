#include "common/allowed_program.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace poold {
namespace {

const std::vector<std::string> allowed{"/usr/bin/ffmpeg", "/opt/new/tool", "/opt/old/tool"};

TEST(AllowedProgram, PathAsItIsWritten) {
  EXPECT_EQ(find_allowed(allowed, "/opt/old/tool"), "/opt/old/tool");
  for (const char* other :
       {"/usr/bin/../bin/ffmpeg", "/usr//bin/ffmpeg", "bin/ffmpeg", "./ffmpeg", "/usr/bin/ffmpeg/", "/"})
    EXPECT_EQ(find_allowed(allowed, other), std::nullopt) << other;
}

TEST(AllowedProgram, LastPartIsTheFirstThatEndsInIt) {
  EXPECT_EQ(find_allowed(allowed, "tool"), "/opt/new/tool");
  for (const char* other : {"", "ffm", "mpeg", "sh"})
    EXPECT_EQ(find_allowed(allowed, other), std::nullopt) << other;
}

TEST(AllowedProgram, LoadersVariables) {
  EXPECT_TRUE(changes_program("LD_PRELOAD"));
  EXPECT_TRUE(changes_program("LD_LIBRARY_PATH"));
  EXPECT_FALSE(changes_program("LDFLAGS"));
}

}  // namespace
}  // namespace poold
