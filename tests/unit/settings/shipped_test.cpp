// config/poold.yaml is valid as shipped, and what it says of defaults is true.
#include <gmock/gmock.h>

#include <sstream>

#include "tests/unit/settings/parsed.hpp"

namespace poold::settings {
namespace {

// A line whose first characters are "#:" is a key at its default.
struct Line {
  std::string text;
  std::size_t indentation = 0;
  bool commented = false;
};

std::vector<Line> shipped_lines() {
  std::vector<Line> lines;
  const auto text = read_file(SHIPPED_CONFIGURATION);
  std::istringstream in(std::get<std::string>(text));
  for (std::string line; std::getline(in, line);) {
    const std::size_t indentation = std::min(line.find_first_not_of(' '), line.size());
    lines.push_back({line, indentation, line.compare(indentation, 2, "#:") == 0});
  }
  return lines;
}

// The file with the given commented lines, and the commented lines they stand under, made live.
std::string uncommented(std::vector<Line> lines, std::vector<std::size_t> wanted) {
  for (std::size_t i : wanted) {
    std::size_t indentation = lines[i].indentation + 1;
    for (std::size_t j = i + 1; j-- > 0;) {
      if (!lines[j].commented || lines[j].indentation >= indentation) continue;
      if (j != i && !lines[j].text.ends_with(':')) continue;
      if (lines[j].text.find("#:") != std::string::npos) lines[j].text.erase(lines[j].indentation, 2);
      indentation = lines[j].indentation;
    }
  }
  std::string text;
  for (const Line& line : lines) text.append(line.text).append("\n");
  return text;
}

TEST(ShippedConfiguration, IsTheDefaultConfiguration) {
  const auto text = read_file(SHIPPED_CONFIGURATION);
  ASSERT_TRUE(std::holds_alternative<std::string>(text));
  EXPECT_EQ(accepted(std::get<std::string>(text)), accepted(""));
}

TEST(ShippedConfiguration, EveryKeyIsShownAtItsDefault) {
  const auto lines = shipped_lines();
  std::vector<std::size_t> commented;
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (lines[i].commented) commented.push_back(i);
  ASSERT_GE(commented.size(), 14u);
  for (std::size_t i : commented) {
    const std::string text = uncommented(lines, {i});
    EXPECT_LT(text.size(), uncommented(lines, {}).size());
    EXPECT_EQ(accepted(text), accepted("")) << lines[i].text;
  }
  EXPECT_EQ(accepted(uncommented(lines, commented)), accepted(""));
}

TEST(ShippedConfiguration, ShowsEveryKey) {
  const auto text = std::get<std::string>(read_file(SHIPPED_CONFIGURATION));
  for (const char* key :
       {"socket",    "state_dir",     "stop_timeout", "log_level", "pools",  "kind",       "durability",
        "workers",   "plugin",        "program",      "env",       "cwd",    "queue_size", "crash_attempts",
        "grace",     "start_timeout", "log_size",     "retention", "age",    "count",      "user",
        "group",     "umask",         "nice",         "rlimits",   "nofile", "nproc",      "core",
        "as",        "cpu",           "fsize",        "memlock",   "allow",  "output",     "accept",
        "processes", "templates"})
    EXPECT_THAT(text, testing::ContainsRegex(std::string("(^|\n)[# :]*").append(key).append(":")));
}

TEST(ShippedConfiguration, ExamplesOfFunctionPoolsAreRight) {
  std::string examples = "pools:\n";
  bool begun = false;
  for (const Line& line : shipped_lines()) {
    begun = begun || line.text == "#   math:";
    if (begun && line.text.size() > 1) examples.append(line.text, 1).append("\n");
  }
  const Settings settings = accepted(examples);
  ASSERT_EQ(settings.pools.size(), 2u);
  EXPECT_EQ(settings.pools[0].plugin, "libpoold_examples.so");
  EXPECT_EQ(settings.pools[1].program, std::vector<std::string>{"/usr/local/bin/my-worker"});
}

}  // namespace
}  // namespace poold::settings
