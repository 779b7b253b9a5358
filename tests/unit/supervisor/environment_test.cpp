#include "daemon/supervisor/environment.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace poold::supervisor {
namespace {

Environment sorted(Environment environment) {
  std::sort(environment.begin(), environment.end());
  return environment;
}

TEST(EngineEnvironment, KeepsTheAllowedNamesAndNothingElse) {
  const char* inherited[] = {
      "PATH=/bin",          "HOME=/h",  "SECRET_TOKEN=x", "LC_ALL=C", "LANG=C", "LD_PRELOAD=/evil.so",
      "XDG_RUNTIME_DIR=/r", "PATHS=no", "TZ=UTC",         "broken",   nullptr};
  EXPECT_EQ(sorted(engine_environment(inherited)),
            (Environment{"HOME=/h", "LANG=C", "LC_ALL=C", "PATH=/bin", "TZ=UTC"}));
}

TEST(WorkerEnvironment, ThePoolsVariablesWinOverInheritedOnes) {
  const char* inherited[] = {"PATH=/bin", "XDG_RUNTIME_DIR=/r", "OTHER=1", nullptr};
  settings::Pool pool;
  pool.name = "math";
  pool.env = {{"PATH", "/opt/bin"}, {"DEPTH", "3"}};
  EXPECT_EQ(sorted(worker_environment(inherited, pool, 2, 7)),
            (Environment{"DEPTH=3", "PATH=/opt/bin", "POOLD_POOL=math", "POOLD_RESULT_RING=8",
                         "POOLD_WORKER=math/2/7", "XDG_RUNTIME_DIR=/r"}));
}

TEST(WorkerEnvironment, APoolCannotPretendToBeAnother) {
  const char* inherited[] = {nullptr};
  settings::Pool pool;
  pool.name = "a";
  pool.env = {{"POOLD_WORKER", "b/0/1"}, {"POOLD_POOL", "b"}};
  EXPECT_EQ(sorted(worker_environment(inherited, pool, 0, 1)),
            (Environment{"POOLD_POOL=a", "POOLD_RESULT_RING=8", "POOLD_WORKER=a/0/1"}));
}

TEST(EnvironmentValue, IsEmptyForWhatIsNotThere) {
  const Environment environment{"A=1", "EMPTY="};
  EXPECT_EQ(value_of(environment, "A"), "1");
  EXPECT_EQ(value_of(environment, "EMPTY"), "");
  EXPECT_EQ(value_of(environment, "B"), "");
}

TEST(WorkerEnvironment, OnlyTheEngineIsToldOfTheJournal) {
  const char* const inherited[] = {"JOURNAL_STREAM=8:15", nullptr};
  EXPECT_EQ(engine_environment(inherited), (Environment{"JOURNAL_STREAM=8:15"}));
  EXPECT_EQ(value_of(worker_environment(inherited, {}, 0, 1), "JOURNAL_STREAM"), "");
}

TEST(WorkerEnvironment, PoolOfAnotherUserHasThatUsersNameAndHome) {
  const char* const inherited[] = {"HOME=/root", "USER=root", "XDG_RUNTIME_DIR=/run/user/0", nullptr};
  settings::Pool pool;
  pool.account = settings::Account{"media", 800, 801, {801}, "/srv/media", "/bin/sh"};
  pool.env = {{"SHELL", "/bin/zsh"}};
  const Environment environment = worker_environment(inherited, pool, 0, 1);
  EXPECT_EQ(value_of(environment, "USER"), "media");
  EXPECT_EQ(value_of(environment, "HOME"), "/srv/media");
  EXPECT_EQ(value_of(environment, "SHELL"), "/bin/zsh") << "the pool's own word counts more";
  EXPECT_EQ(value_of(environment, "XDG_RUNTIME_DIR"), "") << "that is the daemon's";
}

}  // namespace
}  // namespace poold::supervisor
