// The journal's native form, and the fields that lines carry. That journald takes it is shown under
// tests/system.
#include "daemon/journal/journal.hpp"

#include <gtest/gtest.h>

namespace poold {
namespace {

TEST(JournalEntry, FieldsAreLines) {
  EXPECT_EQ(journal_entry("poold", spdlog::level::warn, "pool math: no", {{"POOLD_POOL", "math"}}),
            "MESSAGE=pool math: no\nPRIORITY=4\nSYSLOG_IDENTIFIER=poold\nPOOLD_POOL=math\n");
}

TEST(JournalEntry, ValueWithALineBreakCannotForgeAField) {
  EXPECT_EQ(journal_entry("poold", spdlog::level::info, "a\nPRIORITY=0", {}),
            "MESSAGE\n\x0c" + std::string(7, '\0') + "a\nPRIORITY=0\nPRIORITY=6\nSYSLOG_IDENTIFIER=poold\n");
}

TEST(LogFields, LiveAsLongAsTheirObject) {
  {
    const LogFields outer{{"POOLD_POOL", "a"}};
    {
      const LogFields inner{{"POOLD_TASK_ID", "1"}, {"POOLD_ATTEMPT", "2"}};
      EXPECT_EQ(LogFields::current().size(), 3u);
    }
    ASSERT_EQ(LogFields::current().size(), 1u);
    EXPECT_EQ(LogFields::current()[0].second, "a");
  }
  EXPECT_TRUE(LogFields::current().empty());
}

}  // namespace
}  // namespace poold
