// How a pool's processes run: what is accepted, and what people are told otherwise.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include "daemon/settings/accounts.hpp"
#include "tests/unit/settings/parsed.hpp"

namespace poold::settings {
namespace {

using testing::ElementsAre;

// A machine with one user and one group beside root.
Accounts accounts(std::uint32_t own_uid = 0) {
  return {own_uid,
          [](const std::string& user) -> std::optional<Account> {
            if (user != "media" && user != "800") return std::nullopt;
            return Account{"media", 800, 801, {801, 44}, "/srv/media", "/bin/sh"};
          },
          [](const std::string& group) -> std::optional<std::uint32_t> {
            if (group != "video") return std::nullopt;
            return 44;
          }};
}

Pool pool(const std::string& keys) {
  const Result result = parse("pools: {a: {" + keys + "}}", "poold.yaml", accounts());
  if (const auto* errors = std::get_if<Errors>(&result)) {
    ADD_FAILURE() << to_string(errors->front());
    return {};
  }
  return std::get<Settings>(result).pools.front();
}

std::vector<std::string> complaints(const std::string& keys, std::uint32_t own_uid = 0) {
  std::vector<std::string> lines;
  const Result result = parse("pools:\n  a:\n    " + keys + "\n", "poold.yaml", accounts(own_uid));
  if (const auto* errors = std::get_if<Errors>(&result))
    for (const Error& error : *errors) lines.push_back(to_string(error));
  return lines;
}

TEST(ProcessSettings, WithoutAWordEverythingIsTheDaemonsOwn) {
  const Pool plain = pool("");
  EXPECT_FALSE(plain.account || plain.umask || plain.nice);
  EXPECT_TRUE(plain.limits.empty() && plain.allow.empty());
  EXPECT_EQ(plain.output, Output::keep);
}

TEST(ProcessSettings, UserByNameOrNumberBringsItsGroups) {
  for (const char* user : {"media", "800"}) {
    const Pool found = pool(std::string("user: ") + user);
    ASSERT_TRUE(found.account);
    EXPECT_EQ(found.account->uid, 800u);
    EXPECT_EQ(found.account->gid, 801u);
    EXPECT_THAT(found.account->groups, ElementsAre(801, 44));
    EXPECT_EQ(found.account->home, "/srv/media");
  }
}

TEST(ProcessSettings, GroupTakesTheUsersFirstPlace) {
  const Pool found = pool("user: media, group: video");
  EXPECT_EQ(found.account->gid, 44u);
  EXPECT_EQ(found.account->uid, 800u);
}

TEST(ProcessSettings, GroupAloneKeepsTheUser) {
  const Pool found = pool("group: video");
  EXPECT_EQ(found.account->uid, 0u);
  EXPECT_EQ(found.account->gid, 44u);
  EXPECT_THAT(found.account->groups, ElementsAre(44));
}

TEST(ProcessSettings, OnlyRootBecomesSomebodyElse) {
  EXPECT_THAT(
      complaints("user: media", 1000),
      ElementsAre("poold.yaml:3:11: pools.a.user: only a poold of root can run workers as somebody else; "
                  "this one runs as user 1000"));
  EXPECT_THAT(complaints("group: video", 1000), testing::SizeIs(1));
}

TEST(ProcessSettings, NobodyOfThatName) {
  EXPECT_THAT(complaints("user: mdeia"),
              ElementsAre("poold.yaml:3:11: pools.a.user: there is no user 'mdeia'"));
  EXPECT_THAT(complaints("group: vido"),
              ElementsAre("poold.yaml:3:12: pools.a.group: there is no group 'vido'"));
}

TEST(ProcessSettings, UmaskIsOctal) {
  EXPECT_EQ(pool("umask: 0027").umask, 027u);
  EXPECT_EQ(pool("umask: '077'").umask, 077u);
  for (const char* wrong : {"27", "0028", "01000", "rwx", "[0]"})
    EXPECT_THAT(complaints(std::string("umask: ") + wrong), testing::SizeIs(1)) << wrong;
  EXPECT_THAT(
      complaints("umask: 9"),
      ElementsAre(
          "poold.yaml:3:12: pools.a.umask: expected three or four octal digits such as 0027, from 000 "
          "to 0777; got '9'"));
}

TEST(ProcessSettings, Nice) {
  EXPECT_EQ(pool("nice: 19").nice, 19);
  EXPECT_EQ(pool("nice: -20").nice, -20);
  EXPECT_THAT(
      complaints("nice: 20"),
      ElementsAre(
          "poold.yaml:3:11: pools.a.nice: expected a number from -20 (first) to 19 (last); got '20'"));
}

TEST(ProcessSettings, LimitsInTheirUnits) {
  const Pool limited =
      pool("rlimits: {nofile: 64, nproc: infinity, core: 0, as: 4GiB, cpu: 2m, fsize: 1MiB, memlock: 0B}");
  EXPECT_EQ(limited.limits, (std::vector<ResourceLimit>{{RLIMIT_NOFILE, "nofile", 64},
                                                        {RLIMIT_NPROC, "nproc", resource_unlimited},
                                                        {RLIMIT_CORE, "core", 0},
                                                        {RLIMIT_AS, "as", std::uint64_t{4} << 30},
                                                        {RLIMIT_CPU, "cpu", 120},
                                                        {RLIMIT_FSIZE, "fsize", 1 << 20},
                                                        {RLIMIT_MEMLOCK, "memlock", 0}}));
}

TEST(ProcessSettings, LimitsThatAreNone) {
  EXPECT_THAT(complaints("rlimits: {nofiles: 64}"),
              ElementsAre("poold.yaml:3:15: pools.a.rlimits: unknown key 'nofiles'; did you mean 'nofile'?"));
  EXPECT_THAT(
      complaints("rlimits: {nofile: 3}"),
      ElementsAre("poold.yaml:3:23: pools.a.rlimits.nofile: expected a number from 32 to 1,000,000,000 or "
                  "infinity; got '3'"));
  EXPECT_THAT(complaints("rlimits: {cpu: 100ms, as: much}"), testing::SizeIs(2));
}

TEST(ProcessSettings, ProgramsThatAreAllowed) {
  EXPECT_THAT(pool("allow: [/usr/bin/ffmpeg, /opt/a b]").allow, ElementsAre("/usr/bin/ffmpeg", "/opt/a b"));
  for (const char* wrong :
       {"[ffmpeg]", "[/usr/../bin/sh]", "[/usr//bin/sh]", "[/usr/bin/]", "[/]", "[]", "/bin/sh"})
    EXPECT_THAT(complaints(std::string("allow: ") + wrong), testing::SizeIs(1)) << wrong;
  EXPECT_THAT(
      complaints("allow: [/usr/bin/./sh]"),
      ElementsAre(
          "poold.yaml:3:13: pools.a.allow[0]: expected a plain path, without '//', '.', '..' or a slash "
          "at its end; got '/usr/bin/./sh'"));
}

TEST(ProcessSettings, OnlyCommandPoolsHaveAList) {
  EXPECT_THAT(complaints("{kind: function, plugin: x.so, allow: [/bin/sh]}"), testing::SizeIs(1));
}

Pool function_pool(const std::string& keys) { return pool("kind: function, plugin: x.so" + keys); }

TEST(ProcessSettings, PayloadsThatAreTaken) {
  EXPECT_FALSE(function_pool("").accept);
  EXPECT_THAT(*function_pool(", accept: pickle").accept, ElementsAre("application/x-python-pickle"));
  EXPECT_THAT(*function_pool(", accept: [pickle, image/png]").accept,
              ElementsAre("application/x-python-pickle", "image/png"));
  EXPECT_THAT(*function_pool(", accept: []").accept, ElementsAre());
  EXPECT_THAT(complaints("{kind: function, plugin: x.so, accept: [pickel]}"),
              ElementsAre("poold.yaml:3:45: pools.a.accept[0]: expected pickle, or a content type such as "
                          "application/octet-stream; got 'pickel'"));
  EXPECT_THAT(complaints("accept: pickle"), testing::SizeIs(1)) << "commands have no payload";
}

TEST(ProcessSettings, Output) {
  EXPECT_EQ(pool("output: discard").output, Output::discard);
  EXPECT_THAT(complaints("output: none"),
              ElementsAre("poold.yaml:3:13: pools.a.output: expected keep or discard; got 'none'"));
}

}  // namespace
}  // namespace poold::settings
