// poold: reads the command line, claims what the daemon needs, and hands over to the supervisor. Exit codes:
// 0 stopped, 1 refused to start, 2 wrong usage or configuration.
#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <variant>

#include "common/fail_point.hpp"
#include "common/version.hpp"
#include "daemon/supervisor/activation.hpp"
#include "daemon/supervisor/claim.hpp"
#include "daemon/supervisor/configuration.hpp"
#include "daemon/supervisor/log.hpp"
#include "daemon/supervisor/service_manager.hpp"
#include "daemon/supervisor/store_tool.hpp"
#include "daemon/supervisor/supervisor.hpp"

namespace {

using namespace poold::supervisor;

constexpr int exit_refused = 1;
constexpr int exit_usage = 2;

struct CommandLine {
  std::string configuration;
  PlaceOptions places;
  std::string log_level;
  int lifeline = no_lifeline;
  std::string temporary;
  bool check = false;
  bool list_fail_points = false;
  StoreTool store;
};

void add_store_verbs(CLI::App& app, StoreTool& tool) {
  CLI::App* store = app.add_subcommand("store", "Look after the store of disk pools while no daemon uses it");
  store->require_subcommand(0, 1)->fallthrough();
  const auto add = [&](const char* verb, const char* about, bool has_target) {
    CLI::App* command = store->add_subcommand(verb, about)->fallthrough();
    if (has_target) command->add_option("FILE", tool.target, "The file to write; must not exist")->required();
    command->callback([&tool, verb] { tool.verb = verb; });
  };
  add("check", "Say whether the store is sound, and how many tasks are in it", false);
  add("salvage", "Copy what can be read of a damaged store into a new file", true);
  add("backup", "Copy a sound store into a new file", true);
}

// An exit code if the program is to end here.
std::variant<CommandLine, int> read_command_line(int argc, char** argv) {
  CommandLine line;
  CLI::App app("Runs pools of worker processes, in the foreground.", "poold");
  app.add_option("--config", line.configuration, "Configuration file")->type_name("FILE");
  app.add_option("--socket", line.places.socket, "Control socket")->type_name("PATH");
  app.add_option("--state-dir", line.places.state_directory, "State directory")->type_name("DIR");
  app.add_flag("--check", line.check, "Check the configuration and end");
  app.add_flag("--list-failpoints", line.list_fail_points, "List where a test may kill the daemon, and end");
  app.add_option("--log-level", line.log_level, "trace, debug, info, warning or error")
      ->type_name("LEVEL")
      ->check([](const std::string& level) {
        return is_log_level(level) ? std::string() : level + " is none of trace, debug, info, warning, error";
      });
  CLI::Option* lifeline =
      app.add_option("--lifeline", line.lifeline, "End everything when this descriptor reaches its end of file")
          ->type_name("FD")
          ->check(CLI::Range(0, 1'000'000));
  app.add_option("--temporary", line.temporary,
                 "Remove this directory, which has the state directory in it, after the lifeline's end")
      ->type_name("DIR")
      ->needs(lifeline);
  add_store_verbs(app, line.store);
  app.set_version_flag("--version", "poold " POOLD_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }
  if (app.got_subcommand("store") && line.store.verb.empty()) {
    std::fputs("poold: store: one of check, salvage and backup must follow\n", stderr);
    return exit_usage;
  }
  return line;
}

int check(const std::variant<Configuration, ConfigurationErrors>& loaded, const std::string& path) {
  if (const auto* errors = std::get_if<ConfigurationErrors>(&loaded)) {
    for (const std::string& error : *errors) std::fprintf(stderr, "%s\n", error.c_str());
    return exit_usage;
  }
  std::printf("%s: ok\n", path.empty() ? "default configuration" : path.c_str());
  return 0;
}

// One a line, for tests: name, whose death it is, when it is passed, where it is.
int list_fail_points() {
  if (!poold::fail_points_built) {
    std::fputs("poold: this build has no fail points; one with -DPOOLD_FAIL_POINTS=ON has\n", stderr);
    return exit_refused;
  }
  for (const poold::FailPointText& point : poold::fail_points)
    std::printf("%s\t%s\t%s\t%s\n", point.name.data(), point.process.data(),
                point.in_recovery ? "recovery" : "running", point.place.data());
  return 0;
}

// Whoever mistypes a directory to be removed is to be told before.
bool is_above(const std::string& directory, const std::string& below) {
  const std::filesystem::path path = std::filesystem::path(directory).lexically_normal();
  const std::string within = std::filesystem::path(below).lexically_relative(path).string();
  return path.is_absolute() && !within.empty() && within != "." && !within.starts_with("..");
}

int refuse(const Refusal& refusal) {
  std::fprintf(stderr, "poold: %s\n", refusal.message.c_str());
  return exit_refused;
}

}  // namespace

int main(int argc, char** argv) {
  std::variant<CommandLine, int> parsed = read_command_line(argc, argv);
  if (const int* code = std::get_if<int>(&parsed)) return *code;
  CommandLine& line = std::get<CommandLine>(parsed);
  if (line.list_fail_points) return list_fail_points();

  // Before anything is opened.
  auto passed = take_passed_socket();
  if (const auto* refusal = std::get_if<Refusal>(&passed)) return refuse(*refusal);
  PassedSocket& passed_socket = std::get<PassedSocket>(passed);
  line.places.passed_socket = passed_socket.path;

  if (line.lifeline != no_lifeline && ::fcntl(line.lifeline, F_SETFD, FD_CLOEXEC) < 0) {
    return refuse({"--lifeline " + std::to_string(line.lifeline) + ": no such descriptor is open"});
  }
  if (!line.temporary.empty() && !is_above(line.temporary, line.places.state_directory))
    return refuse({"--temporary " + line.temporary + ": not an absolute path above --state-dir"});
  const std::string path = line.configuration.empty() ? poold::settings::default_path() : line.configuration;
  std::variant<Configuration, ConfigurationErrors> loaded = load_configuration(path);
  if (line.check || std::holds_alternative<ConfigurationErrors>(loaded)) return check(loaded, path);
  Configuration& configuration = std::get<Configuration>(loaded);

  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return refuse({"/proc/self/exe: " + error.message()});
  if (!line.store.verb.empty())
    return run_store_tool(line.store, choose_places(line.places, configuration.settings),
                          find_directories(self.parent_path().string()));
  if (auto checked = check_kernel(); const auto* refusal = std::get_if<Refusal>(&checked))
    return refuse(*refusal);
  auto manager = ServiceManager::from_environment();
  if (const auto* refusal = std::get_if<Refusal>(&manager)) return refuse(*refusal);
  auto claim = Claim::take(choose_places(line.places, configuration.settings), std::move(passed_socket));
  if (const auto* refusal = std::get_if<Refusal>(&claim)) return refuse(*refusal);

  start_log();
  SupervisorOptions options{std::move(line.places), std::move(line.log_level),
                            find_directories(self.parent_path().string()), line.lifeline};
  Supervisor supervisor(std::move(options), std::move(configuration), std::get<Claim>(std::move(claim)),
                        std::get<ServiceManager>(std::move(manager)));
  // The parser's memory, most of what was used so far, goes back: this process stays small for years.
  ::malloc_trim(0);
  const int code = supervisor.run();
  // Nobody else is left to do so.
  if (!line.temporary.empty() && supervisor.lifeline_ended())
    std::filesystem::remove_all(line.temporary, error);
  return code;
}
