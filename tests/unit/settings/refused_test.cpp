// Files with mistakes, and what people are told. The texts are part of the product: a change here is seen by
// users.
#include <gmock/gmock.h>

#include "tests/unit/settings/parsed.hpp"

namespace poold::settings {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(RefusedSettings, EveryMistakeIsReportedInTheFilesOrder) {
  EXPECT_THAT(
      refused(R"(stop_timeout: 5 parsecs
pools:
  math:
    kind: function
    worker: 2
    queue_size: 0
log_level: loud
)"),
      ElementsAre(
          "poold.yaml:1:15: stop_timeout: expected a duration such as 500ms, 30s or 2h, from 0s to 24h; "
          "got '5 parsecs'",
          "poold.yaml:4:5: pools.math: a function pool needs plugin or program",
          "poold.yaml:5:5: pools.math: unknown key 'worker'; did you mean 'workers'?",
          "poold.yaml:6:17: pools.math.queue_size: expected a number from 1 to 10,000,000; got '0'",
          "poold.yaml:7:12: log_level: expected trace, debug, info, warning or error; got 'loud'"));
}

TEST(RefusedSettings, UnknownKeyFarFromAllOthersHasNoGuess) {
  EXPECT_THAT(refused("chickens: {}"), ElementsAre("poold.yaml:1:1: unknown key 'chickens'"));
  EXPECT_THAT(refused("pools: {a: {retention: {cuont: 5}}}"),
              ElementsAre("poold.yaml:1:25: pools.a.retention: unknown key 'cuont'; did you mean 'count'?"));
}

TEST(RefusedSettings, DuplicateKeys) {
  EXPECT_THAT(refused("log_level: info\nlog_level: info\n"),
              ElementsAre("poold.yaml:2:1: log_level: duplicate key 'log_level'"));
  EXPECT_THAT(refused("pools:\n  a: \n  b:\n  a:\n"),
              ElementsAre("poold.yaml:4:3: pools.a: duplicate key 'a'"));
  EXPECT_THAT(refused("pools: {a: {env: {X: 1, \"X\": 1}}}"),
              ElementsAre("poold.yaml:1:25: pools.a.env.X: duplicate key 'X'"));
}

TEST(RefusedSettings, PoolsWithNothingInThem) {
  EXPECT_THAT(refused("pools:"),
              ElementsAre("poold.yaml:1:1: pools: expected at least one pool; leave the key out for "
                          "a pool 'default'"));
  EXPECT_THAT(refused("pools: {}"), SizeIs(1));
}

TEST(RefusedSettings, ValuesOfTheWrongKind) {
  EXPECT_THAT(refused("[a]"), ElementsAre("poold.yaml:1:1: expected a map of names and values; got a list"));
  EXPECT_THAT(refused("text"), ElementsAre("poold.yaml:1:1: expected a map of names and values; got 'text'"));
  EXPECT_THAT(refused("pools: [a]"),
              ElementsAre("poold.yaml:1:8: pools: expected a map of names and values; got a list"));
  EXPECT_THAT(refused("pools: {a: 5}"),
              ElementsAre("poold.yaml:1:12: pools.a: expected a map of names and values; got '5'"));
  EXPECT_THAT(
      refused("stop_timeout:"),
      ElementsAre(
          "poold.yaml:1:1: stop_timeout: expected a duration such as 500ms, 30s or 2h, from 0s to 24h; "
          "got nothing"));
  EXPECT_THAT(
      refused("pools: {a: {queue_size: '5'}}"),
      ElementsAre(
          "poold.yaml:1:25: pools.a.queue_size: expected a number from 1 to 10,000,000; got '5' in quotes"));
  EXPECT_THAT(refused("pools: {a: {[x]: 5}}"),
              ElementsAre("poold.yaml:1:13: pools.a: expected a name; got a list"));
  EXPECT_THAT(refused("pools: {a: {env: {A: [1]}}}"),
              ElementsAre("poold.yaml:1:22: pools.a.env.A: expected a text; got a list"));
}

TEST(RefusedSettings, WorkersThatAreNoNumber) {
  EXPECT_THAT(
      refused("pools: {a: {workers: 1001}}"),
      ElementsAre("poold.yaml:1:22: pools.a.workers: expected a number from 0 to 1,000 or auto; got '1001'"));
  EXPECT_THAT(refused("pools: {a: {workers: -1}}"), ElementsAre(HasSubstr("got '-1'")));
  EXPECT_THAT(refused("pools: {a: {workers: 99999999999999999999}}"), SizeIs(1));
  EXPECT_THAT(refused("pools: {a: {workers: {min: 9, max: 8, idle_timeout: 0s}}}"),
              UnorderedElementsAre("poold.yaml:1:22: pools.a.workers: min (9) is more than max (8)",
                                   HasSubstr("pools.a.workers.idle_timeout: expected a duration such as")));
  EXPECT_THAT(refused("pools: {a: {workers: {max: 2, spare: 3}}}"),
              ElementsAre(HasSubstr("pools.a.workers.spare: more than max (2)")));
  EXPECT_THAT(refused("{workers_max: 2, pools: {a: {workers: 2}, b: {workers: {min: 0, max: 3}}}}"),
              ElementsAre(HasSubstr("workers_max: the pools have at least 3 workers")));
  EXPECT_THAT(refused("pools: {a: {recycle: {tasks: 0, age: 1ms, memory: 1KiB, spread: 91}}}"), SizeIs(4));
}

TEST(RefusedSettings, UnknownDurability) {
  EXPECT_THAT(refused("pools: {a: {durability: paper}}"),
              ElementsAre("poold.yaml:1:25: pools.a.durability: expected memory or disk; got 'paper'"));
}

TEST(RefusedSettings, KindPlugInAndProgramThatDoNotFit) {
  EXPECT_THAT(refused("pools: {a: {kind: script}}"),
              ElementsAre("poold.yaml:1:19: pools.a.kind: expected command or function; got 'script'"));
  EXPECT_THAT(refused("pools: {a: {plugin: x.so, program: [x]}}"),
              ElementsAre(HasSubstr("pools.a.plugin: only function pools have it"),
                          HasSubstr("pools.a.program: only function pools have it")));
  EXPECT_THAT(refused("pools: {a: {kind: function}}"),
              ElementsAre("poold.yaml:1:12: pools.a: a function pool needs plugin or program"));
  EXPECT_THAT(
      refused("pools: {a: {kind: function, plugin: x.so, program: [x]}}"),
      ElementsAre(
          "poold.yaml:1:52: pools.a.program: a function pool has either plugin or program, not both"));
  EXPECT_THAT(refused("pools: {a: {kind: function, program: []}}"),
              ElementsAre(HasSubstr("got an empty list")));
  EXPECT_THAT(refused("pools: {a: {kind: function, program: python3}}"),
              ElementsAre(HasSubstr("got 'python3'")));
  EXPECT_THAT(
      refused("pools: {a: {kind: function, program: ['', {}]}}"),
      ElementsAre(
          "poold.yaml:1:39: pools.a.program[0]: expected the program's name or path; got '' in quotes",
          "poold.yaml:1:43: pools.a.program[1]: expected a text; got a map"));
  EXPECT_THAT(refused("pools: {a: {kind: function, plugin: }}"), SizeIs(1));
}

TEST(RefusedSettings, ProtocolWithoutAProgramThatCouldSpeakIt) {
  EXPECT_THAT(refused("pools: {a: {kind: function, program: [x], protocol: line}}"),
              ElementsAre("poold.yaml:1:53: pools.a.protocol: expected frames or lines; got 'line'"));
  EXPECT_THAT(refused("pools: {a: {protocol: lines}}"),
              ElementsAre("poold.yaml:1:23: pools.a.protocol: only pools with a program of their own have it "
                          "(kind: function, program: [...])"));
  EXPECT_THAT(refused("pools: {a: {kind: function, plugin: x.so, protocol: frames}}"),
              ElementsAre(HasSubstr("pools.a.protocol: only pools with a program of their own have it")));
}

TEST(RefusedSettings, PoolNames) {
  for (const char* name : {"-a", ".a", "'a b'", "a/b", "ä", "\"a\\x07\"", "''"})
    EXPECT_THAT(refused(std::string("pools: {").append(name).append(": }")),
                ElementsAre(HasSubstr("a pool's name has")))
        << name;
  EXPECT_THAT(refused("pools: {" + std::string(63, 'a') + ": }"), IsEmpty());
  EXPECT_THAT(refused("pools: {" + std::string(64, 'a') + ": }"), SizeIs(1));
}

TEST(RefusedSettings, EnvironmentNames) {
  EXPECT_THAT(
      refused("pools: {a: {env: {POOLD_SOCKET: x}}}"),
      ElementsAre(
          "poold.yaml:1:19: pools.a.env.POOLD_SOCKET: names that begin with POOLD_ are the daemon's own"));
  EXPECT_THAT(refused("pools: {a: {env: {1A: x, 'A=B': x, '': x}}}"), SizeIs(3));
  EXPECT_THAT(refused("pools: {a: {env: {A: \"x\\0y\"}}}"),
              ElementsAre("poold.yaml:1:22: pools.a.env.A: a text must not contain the character NUL"));
}

TEST(RefusedSettings, RelativeAndOverlongPaths) {
  EXPECT_THAT(
      refused("pools: {a: {cwd: here}}"),
      ElementsAre(
          "poold.yaml:1:18: pools.a.cwd: expected an absolute path of at most 4,095 bytes; got 'here'"));
  EXPECT_THAT(refused("socket: /" + std::string(107, 's')),
              ElementsAre(HasSubstr("at most 107 bytes; got '/sss")));
  EXPECT_THAT(refused("state_dir: ''"), SizeIs(1));
}

TEST(RefusedSettings, AgeOfRetentionBelowASecond) {
  EXPECT_THAT(
      refused("pools: {a: {retention: {age: 500ms}}}"),
      ElementsAre(
          "poold.yaml:1:30: pools.a.retention.age: expected a duration such as 30s, 2h or 7d, from 0s to "
          "3650d; got '500ms'"));
}

TEST(RefusedSettings, MorePoolsOrWorkersThanAllowed) {
  std::string text = "pools:\n";
  for (int i = 0; i < 1001; ++i) text.append("  p").append(std::to_string(i)).append(": {workers: 10}\n");
  EXPECT_THAT(refused(text),
              ElementsAre(HasSubstr("pools: 1,001 pools; accepted: at most 1,000"),
                          HasSubstr("pools: 10,010 workers in all pools; accepted: at most 10,000")));
}

TEST(RefusedSettings, ManyMistakesAreCutAfterOneHundred) {
  std::string text;
  for (int i = 0; i < 250; ++i) text.append("xyzzy").append(std::to_string(i)).append(": 1\n");
  const auto lines = refused(text);
  ASSERT_THAT(lines, SizeIs(101));
  EXPECT_EQ(lines.back(), "poold.yaml: and 150 more errors");
}

TEST(RefusedSettings, ControlCharactersInMessagesAreEscapedAndLongTextsCut) {
  EXPECT_THAT(refused("\"a\\x1b[31m\": 5"), ElementsAre("poold.yaml:1:1: unknown key 'a\\x1b[31m'"));
  const auto lines = refused("log_level: " + std::string(500, 'x'));
  EXPECT_THAT(lines, ElementsAre(HasSubstr("got '" + std::string(60, 'x') + "…'")));
}

TEST(RefusedSettings, RolesOfNobody) {
  EXPECT_EQ(
      refused("access:\n  raed: {}\n  read: {users: [no-such-user], groups: root}"),
      (std::vector<std::string>{
          "poold.yaml:2:3: access: unknown key 'raed'; did you mean 'read'?",
          "poold.yaml:3:18: access.read.users[0]: there is no user 'no-such-user' on this machine",
          "poold.yaml:3:41: access.read.groups: expected a list of groups, by name or number; got 'root'"}));
}

}  // namespace
}  // namespace poold::settings
