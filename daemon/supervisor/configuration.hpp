// The configuration as the supervisor keeps it: the text, which each engine gets as it is, and what it means
// here.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "daemon/settings/settings.hpp"

namespace poold::supervisor {

struct Configuration {
  std::string path;  // empty: there is no file
  std::string text;
  settings::Settings settings;
};

using ConfigurationErrors = std::vector<std::string>;  // one a line, never empty

// Reads and checks a file; with an empty path, the default configuration.
std::variant<Configuration, ConfigurationErrors> load_configuration(const std::string& path);

// What the supervisor serves, found once at its start: the command line wins over the file, the file over
// common/endpoint's places. Absolute.
struct Places {
  std::string socket;
  std::string state_directory;
  bool operator==(const Places&) const = default;
};
struct PlaceOptions {
  std::string socket;
  std::string
      passed_socket;  // where a service manager's socket is bound; only an explicit choice goes before it
  std::string state_directory;
};
Places choose_places(const PlaceOptions& options, const settings::Settings& settings);

}  // namespace poold::supervisor
