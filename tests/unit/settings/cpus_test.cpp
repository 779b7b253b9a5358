#include "daemon/settings/cpus.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <map>

namespace poold::settings {
namespace {

// A machine that has these files and no others.
std::size_t cpus(std::size_t affinity, std::map<std::string, std::string> files) {
  return usable_cpus(
      {affinity, [files = std::move(files)](const std::string& path) -> std::optional<std::string> {
         const auto found = files.find(path);
         return found == files.end() ? std::nullopt : std::optional(found->second);
       }});
}

TEST(UsableCpus, WithoutControlGroupsTheAffinityMaskCounts) {
  EXPECT_EQ(cpus(6, {}), 6u);
  EXPECT_EQ(cpus(0, {}), 1u);
}

TEST(UsableCpus, QuotaIsRoundedUp) {
  const auto with = [](const char* quota) {
    return cpus(8, {{"/proc/self/cgroup", "0::/a/b\n"}, {"/sys/fs/cgroup/a/b/cpu.max", quota}});
  };
  EXPECT_EQ(with("200000 100000\n"), 2u);
  EXPECT_EQ(with("200001 100000\n"), 3u);
  EXPECT_EQ(with("1000 100000\n"), 1u);
  EXPECT_EQ(with("max 100000\n"), 8u);
  EXPECT_EQ(with("9000000 100000\n"), 8u) << "more than the mask";
  EXPECT_EQ(with("garbage"), 8u);
  EXPECT_EQ(with("100000 0"), 8u);
}

TEST(UsableCpus, QuotaOfAGroupAboveCountsToo) {
  EXPECT_EQ(cpus(8, {{"/proc/self/cgroup", "0::/a/b\n"},
                     {"/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"},
                     {"/sys/fs/cgroup/a/cpu.max", "300000 100000\n"}}),
            3u);
}

TEST(UsableCpus, InAContainerTheRootIsTheOwnGroup) {
  EXPECT_EQ(cpus(8, {{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "150000 100000\n"}}), 2u);
  EXPECT_EQ(
      cpus(8, {{"/proc/self/cgroup", "0::/the/hosts/path\n"}, {"/sys/fs/cgroup/cpu.max", "150000 100000\n"}}),
      2u);
}

TEST(UsableCpus, VersionOneHasTwoFiles) {
  EXPECT_EQ(cpus(8, {{"/proc/self/cgroup", "5:memory:/x\n3:cpu,cpuacct:/x\n0::/\n"},
                     {"/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "250000\n"},
                     {"/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n"}}),
            3u);
  EXPECT_EQ(cpus(8, {{"/proc/self/cgroup", "3:cpuacct,cpu:/\n"},
                     {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
                     {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}}),
            8u);
  EXPECT_EQ(cpus(8, {{"/proc/self/cgroup", "3:cpuset:/x\nnonsense\n"},
                     {"/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "100000\n"},
                     {"/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n"}}),
            8u)
      << "another controller's group";
}

TEST(UsableCpus, ThisProcessMayUseOneAtLeastAndNoMoreThanItsMask) {
  cpu_set_t set;
  ASSERT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  EXPECT_GE(usable_cpus(), 1u);
  EXPECT_LE(usable_cpus(), static_cast<std::size_t>(CPU_COUNT(&set)));
}

}  // namespace
}  // namespace poold::settings
