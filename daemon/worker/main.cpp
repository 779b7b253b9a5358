// poold-worker: runs commands, the functions of a plug-in, or a program that speaks lines. Started by poold's
// supervisor; what it was given on which descriptor is in client/cpp/src/worker_channel.hpp.
#include <cstdio>
#include <string>
#include <string_view>
#include <variant>

#include "client/cpp/poold/worker.hpp"
#include "common/version.hpp"
#include "daemon/worker/command_worker.hpp"
#include "daemon/worker/lines_worker.hpp"
#include "daemon/worker/plugin.hpp"

namespace {

constexpr const char* help =
    "poold-worker: runs the tasks of one worker slot of poold, which starts it.\n"
    "\n"
    "  poold-worker                 runs commands\n"
    "  poold-worker --plugin PATH   runs the functions of a plug-in\n"
    "  poold-worker --lines PATH [ARGUMENT...]\n"
    "                               hands tasks to a program, one JSON object a line (protocol: lines)\n"
    "  poold-worker --version\n"
    "  poold-worker --help\n"
    "\n"
    "Started by hand it ends at once: tasks come in on descriptor 3, results go out on 4, and 5 is the "
    "supervisor's lifeline.\n";

int usage(std::string_view what) {
  std::fprintf(stderr, "poold-worker: %.*s\nTry poold-worker --help\n", static_cast<int>(what.size()),
               what.data());
  return 2;
}

int serve_plugin(const std::string& path) {
  const auto loaded = poold::worker::load_plugin(path);
  if (const auto* error = std::get_if<std::string>(&loaded)) return poold::refuse(*error);
  const auto* table = std::get<const poold::plugin::Table*>(loaded);
  return poold::serve({"poold-worker " POOLD_VERSION}, *table);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view option = argc > 1 ? argv[1] : "";
  if (argc == 1) return poold::worker::serve_commands("poold-worker " POOLD_VERSION);
  if (option == "--plugin") {
    if (argc != 3) return usage("--plugin takes one path");
    return serve_plugin(argv[2]);
  }
  if (option == "--lines") {
    if (argc < 3) return usage("--lines takes the path of a program, and its arguments");
    return poold::worker::serve_lines("poold-worker " POOLD_VERSION, {argv + 2, argv + argc});
  }
  if (argc != 2) return usage("too many arguments");
  if (option == "--version") {
    std::puts("poold-worker " POOLD_VERSION);
    return 0;
  }
  if (option == "--help" || option == "-h") {
    std::fputs(help, stdout);
    return 0;
  }
  return usage("unknown option " + std::string(option));
}
