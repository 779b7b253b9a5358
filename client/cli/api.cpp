// api: any call of the protocol, in JSON as it stands; and the readable aliases.
#include <unistd.h>

#include <cerrno>

#include "client/cli/reading.hpp"
#include "client/cli/verbs.hpp"
#include "common/frame.hpp"

namespace poold::cli {
namespace {

struct ApiOptions {
  std::string method;
  std::string json = "{}";
};

std::string read_stdin() {
  std::string text;
  char piece[64 * 1024];
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, piece, sizeof piece);
    if (n == 0) return text;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw UsageError("stdin: " + error_text(errno));
    text.append(piece, static_cast<std::size_t>(n));
    if (text.size() > frame_payload_max) throw UsageError("stdin: more than 16 MiB");
  }
}

// "Tasks/Get" and "/poold.v1.Tasks/Get" as "poold.v1.Tasks/Get".
std::string full_method(std::string name) {
  if (name.starts_with('/')) name.erase(0, 1);
  if (name.find('/') == std::string::npos)
    throw UsageError("a method is written Tasks/Get, not '" + name + "'");
  if (!name.starts_with("poold.")) name.insert(0, "poold.v1.");
  if (name.find_first_of(" \r\n\t?#") != std::string::npos) throw UsageError("not a method: '" + name + "'");
  return name;
}

bool is_alias(const std::string& path) {
  return path.starts_with("/v1/") || path == "/healthz" || path == "/metrics";
}

int api(Context& context, const ApiOptions& options) {
  if (is_alias(options.method)) {
    if (options.method.find_first_of(" \r\n\t") != std::string::npos)
      throw UsageError("not a path: '" + options.method + "'");
    char last = '\n';
    context.connection().get(options.method, [&](std::string_view bytes) {
      print(bytes);
      std::fflush(stdout);  // an alias may go on for ever
      last = bytes.back();
    });
    if (last != '\n') print("\n");
    return 0;
  }
  const std::string request = options.json == "-" ? read_stdin() : options.json;
  print(context.connection().call_json(full_method(options.method), request, no_timeout));
  print("\n");
  return 0;
}

}  // namespace

void add_api(CLI::App& app, Context& context) {
  const auto options = std::make_shared<ApiOptions>();
  CLI::App* verb =
      app.add_subcommand("api", "Make any call of the protocol in JSON, such as: api Tasks/List '{}'");
  verb->group(group_administration);
  verb->add_option("METHOD", options->method, "Tasks/Get, poold.v1.Tasks/Get, or a path such as /v1/events")
      ->required();
  verb->add_option("JSON", options->json, "The request (default: {}); - reads it from stdin");
  verb->callback(
      [&context, options] { context.action = [&context, options] { return api(context, *options); }; });
}

}  // namespace poold::cli
