// The supervisor's part of a reload: the whole file is read and checked before anything changes; then the
// engine gets the same text.
#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/supervisor/supervisor.hpp"
#include "daemon/supervisor/text.hpp"

namespace poold::supervisor {
namespace {

// All errors go in one datagram, with what protobuf adds.
constexpr std::size_t errors_size_max = datagram_max / 2;
constexpr std::size_t error_size_max = 2 * 1024;

void add_errors(internal::ReloadResult& result, const ConfigurationErrors& errors) {
  std::size_t size = 0;
  for (const std::string& error : errors) {
    const std::string line = printable(error, error_size_max);
    size += line.size() + 8;  // tag and length
    if (size > errors_size_max) {
      const std::size_t left = errors.size() - static_cast<std::size_t>(result.errors_size());
      result.add_errors("... and " + std::to_string(left) + " more");
      return;
    }
    result.add_errors(line);
  }
}

}  // namespace

void Supervisor::reload(std::uint64_t request) {
  internal::ToEngine message;
  internal::ReloadResult& result = *message.mutable_reloaded();
  result.set_request(request);
  std::vector<FileDescriptor> descriptors;
  std::optional<ConfigurationErrors> errors;
  if (phase_ == Phase::running && !manager_waits_) {
    manager_.reloading();
    manager_waits_ = true;
  }
  if (phase_ == Phase::running) {
    // Without a file at the start, one may have come since.
    errors = adopt(configuration_.path.empty() ? settings::default_path() : configuration_.path);
  } else {
    errors = ConfigurationErrors{"the daemon is stopping"};
  }
  if (!errors) {
    descriptors.push_back(make_sealed_memory("poold configuration", configuration_.text));
    if (!descriptors[0].valid()) {
      // The next engine starts with the new configuration; this one cannot be told.
      errors = ConfigurationErrors{std::string("no memory for the engine's copy: ") + std::strerror(errno)};
      descriptors.clear();
    }
  }
  result.set_ok(!errors);
  reload_error_ = errors ? errors->front() : "";
  if (errors) {
    for (const std::string& error : *errors) spdlog::error("reload: {}", printable(error, error_size_max));
    add_errors(result, *errors);
  } else {
    spdlog::info("reloaded {}",
                 configuration_.path.empty() ? "the default configuration" : configuration_.path);
  }
  engine_.send(message, std::move(descriptors));
  engine_.ask();
}

// Takes the file's content as the configuration, or says why not and changes nothing.
std::optional<ConfigurationErrors> Supervisor::adopt(const std::string& path) {
  std::variant<Configuration, ConfigurationErrors> loaded = load_configuration(path);
  if (auto* errors = std::get_if<ConfigurationErrors>(&loaded)) return std::move(*errors);
  Configuration& configuration = std::get<Configuration>(loaded);
  const Places places = choose_places(options_.places, configuration.settings);
  ConfigurationErrors errors;
  const auto compare = [&](const char* key, const std::string& running, const std::string& wanted) {
    if (wanted != running)
      errors.push_back(path + ": " + key + ": changing it from " + running + " to " + wanted +
                       " needs a restart");
  };
  compare("socket", claim_.places().socket, places.socket);
  compare("state_dir", claim_.places().state_directory, places.state_directory);
  if (!errors.empty()) return errors;
  configuration_ = std::move(configuration);
  apply_log_level();
  return std::nullopt;
}

}  // namespace poold::supervisor
