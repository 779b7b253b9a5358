// Where poolctl's own options end and the command begins.
#include "client/cli/command_line.hpp"

#include <gtest/gtest.h>

namespace poold::cli {
namespace {

bool takes_value(std::string_view option) {
  return option == "--pool" || option == "--function" || option == "--kw" || option == "--socket" ||
         option == "-o";
}

WorkLine split(const Words& words) { return split_work(words, takes_value); }

TEST(SplitWork, FirstWordThatIsNoOptionBeginsTheCommand) {
  const WorkLine line = split({"--pool", "big", "ls", "-l", "--pool", "x"});
  EXPECT_EQ(line.options, (Words{"--pool", "big"}));
  EXPECT_EQ(line.words, (Words{"ls", "-l", "--pool", "x"}));
  EXPECT_FALSE(line.function_mode);
}

TEST(SplitWork, AfterTwoDashesEverythingIsTheCommand) {
  const WorkLine line = split({"--json", "--", "--pool", "--", "x"});
  EXPECT_EQ(line.options, (Words{"--json"}));
  EXPECT_EQ(line.words, (Words{"--pool", "--", "x"}));
}

TEST(SplitWork, ValuesMayBeAttached) {
  const WorkLine line = split({"--pool=big", "-ojson", "ls"});
  EXPECT_EQ(line.options, (Words{"--pool=big", "-ojson"}));
  EXPECT_EQ(line.words, (Words{"ls"}));
}

TEST(SplitWork, WithFunctionOptionsStandAmongArguments) {
  const WorkLine line = split({"--function", "add", "1", "--kw", "z=3", "-2", "-.5", "--pool", "math", "x"});
  EXPECT_TRUE(line.function_mode);
  EXPECT_EQ(line.options, (Words{"--function", "add", "--kw", "z=3", "--pool", "math"}));
  EXPECT_EQ(line.words, (Words{"1", "-2", "-.5", "x"}));
}

TEST(SplitWork, WithFunctionTwoDashesEndTheOptions) {
  const WorkLine line = split({"--function=f", "1", "--", "--kw", "--"});
  EXPECT_EQ(line.options, (Words{"--function=f"}));
  EXPECT_EQ(line.words, (Words{"1", "--kw", "--"}));
}

TEST(SplitWork, FunctionAfterTheCommandBelongsToTheCommand) {
  const WorkLine line = split({"grep", "--function", "x"});
  EXPECT_FALSE(line.function_mode);
  EXPECT_EQ(line.words.size(), 3u);
}

TEST(SplitWork, OptionWithoutItsValueIsLeftToBeComplainedAbout) {
  EXPECT_EQ(split({"--pool"}).options, (Words{"--pool"}));
  EXPECT_EQ(split({}).words, Words{});
  EXPECT_EQ(split({"-"}).words, (Words{"-"}));
}

TEST(FindVerb, OptionsBeforeItAreSteppedOver) {
  EXPECT_EQ(find_verb(Words{"--socket", "ps", "run"}, takes_value), 2u);
  EXPECT_EQ(find_verb(Words{"--socket=x", "--json", "run"}, takes_value), 2u);
  EXPECT_FALSE(find_verb(Words{"--json"}, takes_value));
  EXPECT_FALSE(find_verb(Words{"--", "run"}, takes_value));
  EXPECT_FALSE(find_verb(Words{}, takes_value));
}

TEST(WithSignalOption, NumbersAndNamesAreSignals) {
  EXPECT_EQ(with_signal_option(Words{"-9", "id"}), (Words{"-s", "9", "id"}));
  EXPECT_EQ(with_signal_option(Words{"id", "-KILL"}), (Words{"id", "-s", "KILL"}));
  EXPECT_EQ(with_signal_option(Words{"-s", "TERM", "--pool", "-h", "-"}),
            (Words{"-s", "TERM", "--pool", "-h", "-"}));
}

}  // namespace
}  // namespace poold::cli
