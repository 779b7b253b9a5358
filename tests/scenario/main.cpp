// poold-scenario: plays scripts and compares what follows with what they say; --rewrite writes down what
// follows instead. A script is text: see README.md.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "tests/scenario/stage.hpp"

namespace poold::scenario {
namespace {

using Lines = std::vector<std::string>;

constexpr const char* usage =
    "usage: poold-scenario [--rewrite] SCRIPT...\n"
    "  Plays each script; ends with 1 and a diff where something else follows than it says.\n"
    "  --rewrite  what follows is written into the script\n";

// The script as it should be: its commands and comments, each command followed by its trace.
Lines play(const Lines& script) {
  Stage stage;
  Lines played;
  for (std::size_t number = 0; number < script.size(); ++number) {
    const std::string& line = script[number];
    if (line.starts_with("  ")) continue;  // an earlier trace
    played.push_back(line);
    if (line.empty() || line[0] == '#') continue;
    if (!line.starts_with("> "))
      throw Mistake("line " + std::to_string(number + 1) + ": a command begins with '> '");
    try {
      for (const std::string& said : stage.play(line.substr(2))) played.push_back("  " + said);
    } catch (const Mistake& mistake) {
      throw Mistake("line " + std::to_string(number + 1) + ": " + mistake.what());
    }
  }
  return played;
}

// From the first line that differs: what the script says, and what follows.
void print_difference(const std::string& path, const Lines& says, const Lines& follows) {
  std::size_t same = 0;
  while (same < says.size() && same < follows.size() && says[same] == follows[same]) ++same;
  std::size_t tail = 0;
  while (tail < says.size() - same && tail < follows.size() - same &&
         says[says.size() - 1 - tail] == follows[follows.size() - 1 - tail])
    ++tail;
  std::printf("--- %s\n+++ what follows\n", path.c_str());
  for (std::size_t i = same < 3 ? 0 : same - 3; i < same; ++i) std::printf(" %s\n", says[i].c_str());
  for (std::size_t i = same; i < says.size() - tail; ++i) std::printf("-%s\n", says[i].c_str());
  for (std::size_t i = same; i < follows.size() - tail; ++i) std::printf("+%s\n", follows[i].c_str());
  for (std::size_t i = says.size() - tail; i < says.size() && i < says.size() - tail + 3; ++i)
    std::printf(" %s\n", says[i].c_str());
}

bool run(const std::string& path, bool rewrite) {
  std::ifstream file(path);
  if (!file) {
    std::printf("%s: cannot be read\n", path.c_str());
    return false;
  }
  Lines script;
  for (std::string line; std::getline(file, line);) script.push_back(line);
  Lines played;
  try {
    played = play(script);
  } catch (const Mistake& mistake) {
    std::printf("%s: %s\n", path.c_str(), mistake.what());
    return false;
  }
  if (played == script) return true;
  if (!rewrite) {
    print_difference(path, script, played);
    return false;
  }
  std::ofstream out(path, std::ios::trunc);
  for (const std::string& line : played) out << line << '\n';
  std::printf("%s: rewritten\n", path.c_str());
  return out.flush().good();
}

}  // namespace
}  // namespace poold::scenario

int main(int count, char** words) {
  bool rewrite = false, right = true;
  std::vector<std::string> paths;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--rewrite") {
      rewrite = true;
    } else if (word.starts_with("-")) {
      std::fprintf(stderr, "there is no option '%s'\n%s", word.c_str(), poold::scenario::usage);
      return 2;
    } else {
      paths.push_back(word);
    }
  }
  if (paths.empty()) {
    std::fputs(poold::scenario::usage, stderr);
    return 2;
  }
  for (const std::string& path : paths) right = poold::scenario::run(path, rewrite) && right;
  return right ? 0 : 1;
}
