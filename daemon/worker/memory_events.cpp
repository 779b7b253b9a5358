#include "daemon/worker/memory_events.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace poold::worker {
namespace {

constexpr std::string_view unified_entry = "0::";
constexpr std::string_view kills_entry = "\noom_kill ";

// Empty where there is no cgroup v2.
std::string events_path() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(unified_entry))
      return "/sys/fs/cgroup" + line.substr(unified_entry.size()) + "/memory.events";
  return {};
}

}  // namespace

MemoryEvents::MemoryEvents()
    : file_(::open(events_path().c_str(), O_RDONLY | O_CLOEXEC)), kills_(read_kills()) {}

std::uint64_t MemoryEvents::read_kills() const {
  char text[1024];
  const ssize_t got = file_.valid() ? ::pread(file_.get(), text, sizeof text, 0) : 0;
  const std::string_view entries(text, got > 0 ? static_cast<std::size_t>(got) : 0);
  const std::size_t at = entries.find(kills_entry);
  std::uint64_t kills = 0;
  if (at != std::string_view::npos)
    std::from_chars(entries.data() + at + kills_entry.size(), entries.data() + entries.size(), kills);
  return kills;
}

bool MemoryEvents::killed() {
  const std::uint64_t before = kills_;
  kills_ = read_kills();
  return kills_ > before;
}

}  // namespace poold::worker
