#include "common/time_zone_file.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace poold {
namespace {

constexpr const char* database = "/usr/share/zoneinfo/";

}  // namespace

std::variant<TimeZone, std::string> load_time_zone(const std::string& name) {
  const std::string accepted = " (accepted: a name of the tz database, such as Europe/Berlin or UTC)";
  if (!name.empty() && !is_time_zone_name(name)) return "'" + name + "' is no time zone" + accepted;
  const std::string path = name.empty() ? "/etc/localtime" : database + name;
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  // A directory opens, and cannot be read.
  if (!file || !(bytes << file.rdbuf())) {
    if (name.empty() || name == "UTC") return TimeZone();
    const std::string reason =
        errno != 0 && errno != ENOENT ? " (" + path + ": " + std::strerror(errno) + ")" : "";
    return "there is no time zone '" + name + "'" + reason + accepted;
  }
  auto zone = TimeZone::read(bytes.view());
  if (auto* error = std::get_if<std::string>(&zone)) return path + ": " + *error + accepted;
  return zone;
}

}  // namespace poold
