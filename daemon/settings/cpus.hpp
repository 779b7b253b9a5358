// How many CPUs this process may use: what `workers: auto` means.
//
// The affinity mask, limited by the CPU quota of the control group and every group above it, rounded up.
// Without the quota a container with one CPU on a machine of 64 would start 64 workers.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

namespace poold::settings {

// Where the answer comes from; tests bring their own.
struct CpuSources {
  std::size_t affinity = 1;  // CPUs in the affinity mask
  // The content of a small file; nothing if it cannot be read.
  std::function<std::optional<std::string>(const std::string& path)> read;
};

// At least 1.
std::size_t usable_cpus(const CpuSources& sources);
// With this process's own mask and files.
std::size_t usable_cpus();

}  // namespace poold::settings
