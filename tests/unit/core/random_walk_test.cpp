// Random walks. POOLD_WALK_SEEDS says how many, POOLD_WALK_SEED walks one alone.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "tests/unit/core/walk.hpp"

namespace poold::core {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr std::uint64_t seeds_default = 100;  // which take as long here
#else
constexpr std::uint64_t seeds_default = 400;
#endif

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// What happened; empty if it was not right, which has been said then.
std::vector<std::string> walk(std::uint64_t seed) {
  Walk walk(seed);
  walk.stumble(200);
  walk.settle();
  walk.stop();
  if (!walk.failed()) return walk.record();
  ADD_FAILURE() << "POOLD_WALK_SEED=" << seed << ": " << walk.report();
  return {};
}

// A walk that meets nothing proves nothing.
void expect_adventures(const std::map<std::string, int>& met) {
  for (const char* what :
       {"start", "kill", "stop", "return", "cancel", "signal", "throttled", "healed", "condemned"})
    EXPECT_GT(met.contains(what) ? met.at(what) : 0, 20) << what;
}

TEST(RandomWalk, EveryTaskEndsOnceWhateverHappens) {
  if (const auto seed = number_from_environment("POOLD_WALK_SEED", 0)) {
    walk(seed);
    return;
  }
  const auto count = number_from_environment("POOLD_WALK_SEEDS", seeds_default);
  std::map<std::string, int> met;  // by a line's first word
  for (std::uint64_t seed = 1; seed <= count && !HasFailure(); ++seed)
    for (const std::string& line : walk(seed)) ++met[line.substr(0, line.find(' '))];
  if (count >= seeds_default && !HasFailure()) expect_adventures(met);
}

TEST(RandomWalk, TheSameSeedIsTheSameWalk) {
  const auto first = walk(4712);
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(first, walk(4712));
}

}  // namespace
}  // namespace poold::core
