#include "daemon/supervisor/configuration.hpp"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "common/endpoint.hpp"

namespace poold::supervisor {
namespace {

std::string absolute(const std::string& path) {
  std::error_code error;
  std::string result = std::filesystem::absolute(path, error).lexically_normal().string();
  if (error) return path;
  while (result.size() > 1 && result.ends_with('/')) result.pop_back();
  return result;
}

}  // namespace

std::variant<Configuration, ConfigurationErrors> load_configuration(const std::string& path) {
  Configuration configuration;
  if (!path.empty()) {
    configuration.path = absolute(path);
    std::variant<std::string, settings::Error> text = settings::read_file(path);
    if (const auto* error = std::get_if<settings::Error>(&text))
      return ConfigurationErrors{to_string(*error)};
    configuration.text = std::get<std::string>(std::move(text));
  }
  settings::Result result = settings::parse(configuration.text, path);
  if (const auto* errors = std::get_if<settings::Errors>(&result)) {
    ConfigurationErrors lines;
    for (const settings::Error& error : *errors) lines.push_back(to_string(error));
    return lines;
  }
  configuration.settings = std::get<settings::Settings>(std::move(result));
  return configuration;
}

Places choose_places(const PlaceOptions& options, const settings::Settings& settings) {
  std::string socket = options.socket.empty() ? settings.socket : options.socket;
  const char* named = std::getenv("POOLD_SOCKET");
  if (socket.empty() && !(named && *named)) socket = options.passed_socket;
  const std::string& state = options.state_directory.empty() ? settings.state_dir : options.state_directory;
  return {absolute(daemon_socket_path(socket)), absolute(daemon_state_directory(state))};
}

}  // namespace poold::supervisor
