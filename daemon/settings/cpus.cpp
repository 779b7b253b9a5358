#include "daemon/settings/cpus.hpp"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace poold::settings {
namespace {

using Cpus = std::optional<std::size_t>;  // nothing: no limit

Cpus rounded_up(long long quota, long long period) {
  if (quota <= 0 || period <= 0) return std::nullopt;
  return static_cast<std::size_t>((quota - 1) / period + 1);
}

// cgroup v2: one file, "QUOTA PERIOD" or "max PERIOD".
Cpus quota_v2(const CpuSources& sources, const std::string& group) {
  const auto text = sources.read(group + "/cpu.max");
  if (!text) return std::nullopt;
  std::istringstream in(*text);
  long long quota = 0, period = 0;
  if (!(in >> quota >> period)) return std::nullopt;
  return rounded_up(quota, period);
}

// cgroup v1: two files; a quota of -1 is none.
Cpus quota_v1(const CpuSources& sources, const std::string& group) {
  const auto quota_text = sources.read(group + "/cpu.cfs_quota_us");
  const auto period_text = sources.read(group + "/cpu.cfs_period_us");
  if (!quota_text || !period_text) return std::nullopt;
  std::istringstream in(*quota_text + " " + *period_text);
  long long quota = 0, period = 0;
  if (!(in >> quota >> period)) return std::nullopt;
  return rounded_up(quota, period);
}

// The smallest quota from the group up to the mount's root. In a container the path may be the host's and
// missing here; the root then is the container's own group.
template <typename Quota>
void limit(std::size_t& cpus, const CpuSources& sources, const std::string& mount, std::string group,
           Quota quota) {
  while (true) {
    while (group.ends_with('/')) group.pop_back();
    if (const Cpus found = quota(sources, mount + group)) cpus = std::min(cpus, *found);
    const std::size_t slash = group.rfind('/');
    if (slash == std::string::npos) return;
    group.resize(slash);
  }
}

bool lists_cpu(std::string_view controllers) {
  while (true) {
    const std::size_t comma = controllers.find(',');
    if (controllers.substr(0, comma) == "cpu") return true;
    if (comma == std::string_view::npos) return false;
    controllers.remove_prefix(comma + 1);
  }
}

std::size_t affinity_count() {
  // The kernel refuses a set smaller than its own, whose size it does not tell.
  for (std::size_t cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
    std::vector<cpu_set_t> set(cpus / (8 * sizeof(cpu_set_t)));
    const std::size_t bytes = set.size() * sizeof(cpu_set_t);
    if (::sched_getaffinity(0, bytes, set.data()) == 0)
      return static_cast<std::size_t>(CPU_COUNT_S(bytes, set.data()));
  }
  return 1;
}

std::optional<std::string> read_small_file(const std::string& path) {
  std::ifstream in(path);
  if (!in) return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

std::size_t usable_cpus(const CpuSources& sources) {
  std::size_t cpus = std::max<std::size_t>(1, sources.affinity);
  // Lines of "HIERARCHY:CONTROLLERS:PATH" (cgroups(7)); v2 has no controllers.
  std::istringstream groups(sources.read("/proc/self/cgroup").value_or(""));
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1),
                      path = line.substr(second + 1);
    if (controllers.empty()) {
      limit(cpus, sources, "/sys/fs/cgroup", path, quota_v2);
    } else if (lists_cpu(controllers)) {
      limit(cpus, sources, "/sys/fs/cgroup/" + controllers, path, quota_v1);
      if (controllers != "cpu") limit(cpus, sources, "/sys/fs/cgroup/cpu", path, quota_v1);
    }
  }
  return cpus;
}

std::size_t usable_cpus() { return usable_cpus(CpuSources{affinity_count(), read_small_file}); }

}  // namespace poold::settings
