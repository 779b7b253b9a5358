// Texts that are no proper YAML, and texts that want to be larger than they are.
#include "daemon/settings/document.hpp"

#include <gmock/gmock.h>

#include "tests/unit/settings/parsed.hpp"

namespace poold::settings {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Document, BrokenYamlIsOneErrorWithItsPlace) {
  EXPECT_THAT(refused("pools:\n  a: {\n b: 5\n"),
              ElementsAre("poold.yaml:4:1: not valid YAML: end of map flow not found"));
  EXPECT_THAT(refused("a: 'b"), ElementsAre(HasSubstr("not valid YAML")));
  EXPECT_THAT(refused("a: b: c"), ElementsAre(HasSubstr("not valid YAML")));
  EXPECT_THAT(refused("a: \"\\"),
              ElementsAre("poold.yaml:1:7: not valid YAML: unknown escape character: \\x04"));
  EXPECT_THAT(refused("a: *nowhere"), ElementsAre(HasSubstr("poold.yaml:1:4: not valid YAML")));
}

TEST(Document, BytesThatAreNotUtf8) {
  EXPECT_THAT(refused("# \xc3\xa9\nsocket: \"\xff\""), ElementsAre("poold.yaml:2:10: not UTF-8"));
  EXPECT_THAT(refused("a: \xc0\x80"), ElementsAre("poold.yaml:1:4: not UTF-8")) << "overlong";
  EXPECT_THAT(refused("a: \xed\xa0\x80"), ElementsAre("poold.yaml:1:4: not UTF-8")) << "a surrogate";
  EXPECT_THAT(refused("a: \xf4\x90\x80\x80"), ElementsAre("poold.yaml:1:4: not UTF-8")) << "beyond Unicode";
  EXPECT_THAT(refused("a: \xe2\x82"), ElementsAre("poold.yaml:1:4: not UTF-8")) << "cut";
  EXPECT_THAT(refused(std::string_view("\xff\xfe"
                                       "a\0:\0",
                                       6)),
              ElementsAre("poold.yaml:1:1: not UTF-8"))
      << "UTF-16";
  EXPECT_THAT(refused(std::string_view("a: b\0", 5)), ElementsAre("poold.yaml:1:5: a control character"));
}

TEST(Document, TabsAreForTextNotForIndentation) {
  EXPECT_THAT(refused("pools:\n\tdefault:\n"),
              ElementsAre("poold.yaml:2:1: a tab in the indentation; use spaces"));
  EXPECT_EQ(accepted("log_level:\tdebug").log_level, "debug");
}

TEST(Document, SecondDocument) {
  EXPECT_THAT(refused("log_level: info\n---\nlog_level: info\n"),
              ElementsAre("poold.yaml:3:1: a second document; accepted: one"));
}

TEST(Document, Tags) {
  EXPECT_THAT(refused("log_level: !!str info"), ElementsAre(HasSubstr("a tag has no meaning here")));
}

TEST(Document, MergeOfSomethingElseThanMaps) {
  EXPECT_THAT(refused("pools: {<<: 5}"), ElementsAre("poold.yaml:1:9: <<: expected a map or a list of maps"));
  EXPECT_THAT(refused("pools: {<<: [{}, x]}"), ElementsAre(HasSubstr("1:18: <<: expected a map")));
}

TEST(Document, AliasToItself) {
  EXPECT_THAT(refused("pools: &a [*a]"), ElementsAre("poold.yaml:1:12: alias to a value that contains it"));
}

TEST(Document, AliasesThatUnfoldIntoAThousandMillionValues) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string before = "*a" + std::to_string(i - 1), name = "a" + std::to_string(i);
    text.append(name).append(": &").append(name).append(" [").append(before);
    for (int j = 1; j < 10; ++j) text.append(", ").append(before);
    text += "]\n";
  }
  EXPECT_THAT(refused(text), ElementsAre(HasSubstr("too many values, aliases included")));
}

TEST(Document, AliasesOfOneLongText) {
  std::string text = "a: [&long " + std::string(500'000, 'x');
  for (int i = 0; i < 20'000; ++i) text += ", *long";
  EXPECT_THAT(refused(text + "]"), ElementsAre(HasSubstr("too many values, aliases included")));
}

TEST(Document, NestedTooDeeply) {
  EXPECT_THAT(refused("a: " + std::string(32, '[') + std::string(32, ']')),
              ElementsAre("poold.yaml:1:35: nested too deeply (accepted: 32 levels)"));
  EXPECT_THAT(refused(std::string(1'000'000, '[')), ElementsAre(HasSubstr("nested too deeply")));
  std::string steps;
  for (int i = 0; i < 1000; ++i) steps.append(std::string(static_cast<std::size_t>(i), ' ')).append("a:\n");
  EXPECT_THAT(refused(steps), ElementsAre(HasSubstr("nested too deeply")));
}

TEST(Document, LargerThanTheLimit) {
  const std::string line = "# " + std::string(61, 'x') + "\n";
  std::string text;
  while (text.size() + line.size() <= text_size_max) text += line;
  EXPECT_EQ(text.size(), text_size_max);
  accepted(text);
  EXPECT_THAT(refused(text + "#"), ElementsAre("poold.yaml: larger than 1 MiB"));
}

}  // namespace
}  // namespace poold::settings
