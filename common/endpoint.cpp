#include "common/endpoint.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace poold {
namespace {

// Empty where the variable is unset: an empty value counts as unset, as the XDG specification wants.
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool exists(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0;
}

std::string runtime_socket_path() {
  const std::string directory = environment("XDG_RUNTIME_DIR");
  return directory.empty() ? "" : directory + "/poold/control.sock";
}

std::string chosen_socket_path(std::string_view option) {
  return option.empty() ? environment("POOLD_SOCKET") : std::string(option);
}

}  // namespace

std::string daemon_socket_path(std::string_view option) {
  if (std::string chosen = chosen_socket_path(option); !chosen.empty()) return chosen;
  if (std::string runtime = runtime_socket_path(); !runtime.empty()) return runtime;
  return std::string(system_socket_path);
}

std::string client_socket_path(std::string_view option) {
  if (std::string chosen = chosen_socket_path(option); !chosen.empty()) return chosen;
  if (std::string runtime = runtime_socket_path(); !runtime.empty() && exists(runtime)) return runtime;
  return std::string(system_socket_path);
}

std::string daemon_state_directory(std::string_view option) {
  if (!option.empty()) return std::string(option);
  if (std::string directories = environment("STATE_DIRECTORY"); !directories.empty())
    return directories.substr(0, directories.find(':'));
  if (std::string home = environment("XDG_STATE_HOME"); !home.empty()) return home + "/poold";
  if (std::string home = environment("HOME"); !home.empty() && ::geteuid() != 0)
    return home + "/.local/state/poold";
  return "/var/lib/poold";
}

}  // namespace poold
