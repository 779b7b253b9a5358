// Files that are right, and the values they stand for.
#include "daemon/settings/cpus.hpp"
#include "tests/unit/settings/parsed.hpp"

namespace poold::settings {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

Settings defaults() {
  Settings settings;
  Pool pool;
  pool.name = "default";
  pool.workers = static_cast<std::uint32_t>(usable_cpus());
  settings.pools.push_back(pool);
  return settings;
}

TEST(AcceptedSettings, EmptyTextIsOnePoolOfCommandsForAllCpus) { EXPECT_EQ(accepted(""), defaults()); }

TEST(AcceptedSettings, CommentsAloneAreLikeAnEmptyText) {
  EXPECT_EQ(accepted("# nothing\n\n"), defaults());
  EXPECT_EQ(accepted("---\n...\n"), defaults());
  EXPECT_EQ(accepted("\xef\xbb\xbf# after a byte order mark\n"), defaults());
}

TEST(AcceptedSettings, FileWithoutPoolsKeepsTheDefaultPool) {
  Settings expected = defaults();
  expected.log_level = "debug";
  EXPECT_EQ(accepted("log_level: debug"), expected);
}

TEST(AcceptedSettings, PoolWithNothingSaidHasTheDefaults) {
  EXPECT_EQ(accepted("pools:\n  default:\n"), defaults());
  EXPECT_EQ(accepted("pools: {default: {}}"), defaults());
}

TEST(AcceptedSettings, EveryKeyOfTheFile) {
  const Settings settings = accepted(R"(
socket: /tmp/p/control.sock
state_dir: /tmp/p/state
stop_timeout: 1m
log_level: warning
pools: {default: }
)");
  EXPECT_EQ(settings.socket, "/tmp/p/control.sock");
  EXPECT_EQ(settings.state_dir, "/tmp/p/state");
  EXPECT_EQ(settings.stop_timeout, seconds(60));
  EXPECT_EQ(settings.log_level, "warning");
}

TEST(AcceptedSettings, EveryKeyOfAPool) {
  Pool expected;
  expected.name = "py-3.11_a";
  expected.kind = PoolKind::function;
  expected.workers = 0;
  expected.program = {"python3", "-m", "worker", ""};
  expected.protocol = WorkerProtocol::lines;
  expected.env = {{"A", "1"}, {"B_2", ""}};
  expected.cwd = "/srv";
  expected.queue_size = 10'000'000;
  expected.crash_attempts = 1;
  expected.max_tasks = 1;
  expected.grace = milliseconds(0);
  expected.start_timeout = milliseconds(1500);
  expected.log_size = 512 * 1024;
  expected.retention = {hours(7 * 24), 0, 5 << 20};
  EXPECT_EQ(accepted_pool(R"(
pools:
  py-3.11_a:
    kind: function
    durability: memory
    workers: 0
    program: [python3, -m, worker, ""]
    protocol: lines
    env: {A: 1, B_2: ""}
    cwd: /srv
    queue_size: 10000000
    crash_attempts: 1
    max_tasks: 1
    grace: 0s
    start_timeout: 1500ms
    log_size: 512KiB
    retention: {age: 7d, count: 0, size: 5MiB}
)"),
            expected);
}

TEST(AcceptedSettings, PlugInWithoutAndWithASlash) {
  EXPECT_EQ(accepted_pool("pools: {m: {kind: function, plugin: libm.so}}").plugin, "libm.so");
  EXPECT_EQ(accepted_pool("pools: {m: {kind: function, plugin: /opt/libm.so}}").plugin, "/opt/libm.so");
}

TEST(AcceptedSettings, PoolsKeepTheFilesOrder) {
  const Settings settings = accepted("pools: {z: , a: , m: }");
  ASSERT_EQ(settings.pools.size(), 3u);
  EXPECT_EQ(settings.pools[0].name, "z");
  EXPECT_EQ(settings.pools[1].name, "a");
  EXPECT_EQ(settings.pools[2].name, "m");
}

TEST(AcceptedSettings, AliasRepeatsAValue) {
  const Settings settings = accepted("pools: {a: &same {workers: 3}, b: *same}");
  ASSERT_EQ(settings.pools.size(), 2u);
  EXPECT_EQ(settings.pools[1].workers, 3u);
}

TEST(AcceptedSettings, MergedKeysGiveWayToTheMapsOwn) {
  const Settings settings = accepted(R"(
pools:
  a: &a {workers: 3, grace: 1s}
  b: &b {<<: *a, workers: 4}
  c: {queue_size: 7, <<: [*b, {grace: 9s, crash_attempts: 2}]}
)");
  ASSERT_EQ(settings.pools.size(), 3u);
  EXPECT_EQ(settings.pools[1].workers, 4u);
  EXPECT_EQ(settings.pools[1].grace, seconds(1));
  EXPECT_EQ(settings.pools[2].workers, 4u) << "the first map of the list counts";
  EXPECT_EQ(settings.pools[2].grace, seconds(1));
  EXPECT_EQ(settings.pools[2].crash_attempts, 2u);
  EXPECT_EQ(settings.pools[2].queue_size, 7u);
}

TEST(AcceptedSettings, AsManyPoolsAndWorkersAsAllowed) {
  std::string text = "pools:\n";
  for (int i = 0; i < 1000; ++i) text.append("  p").append(std::to_string(i)).append(": {workers: 10}\n");
  EXPECT_EQ(accepted(text).pools.size(), 1000u);
}

TEST(AcceptedSettings, RolesByNameAndByNumber) {
  const Settings settings = accepted(
      "access:\n  read: {users: [root, 4711]}\n  admin: {groups: [root]}\n  submit:\npools: {default: {}}");
  EXPECT_EQ(settings.access.read.users, (std::vector<std::uint32_t>{0, 4711}));
  EXPECT_EQ(settings.access.admin.groups, std::vector<std::uint32_t>{0});
  EXPECT_EQ(settings.access.submit, Members{});
  EXPECT_EQ(settings.access.operate, Members{});
}

TEST(AcceptedSettings, TemplatesAreReadAsPools) {
  const Settings settings = accepted("templates: {py: {kind: function, program: [python3], workers: 3}}");
  ASSERT_EQ(settings.templates.size(), 1u);
  EXPECT_EQ(settings.templates[0].name, "py");
  EXPECT_EQ(settings.templates[0].workers, 3u);
  EXPECT_EQ(settings.pools.size(), 1u) << "they are no pools";
}

}  // namespace
}  // namespace poold::settings
