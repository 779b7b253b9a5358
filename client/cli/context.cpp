#include "client/cli/context.hpp"

#include <google/protobuf/util/json_util.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "client/cli/text.hpp"
#include "client/cpp/poold/error.hpp"
#include "common/endpoint.hpp"

namespace poold::cli {
namespace {

constexpr std::size_t width_default = 80;  // a terminal that does not tell

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return width_default;
}

// What the environment says about a terminal; see https://no-color.org.
bool terminal_has_colours() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return !(no_color && *no_color) && terminal && std::string_view(terminal) != "dumb";
}

void read_json(std::string_view json, google::protobuf::Message& message) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a newer daemon's
  const auto status = google::protobuf::util::JsonStringToMessage(std::string(json), &message, options);
  if (!status.ok()) throw ProtocolError("the daemon's JSON cannot be read: " + status.ToString());
}

}  // namespace

Format Context::format() const {
  if (json || output == "json") return Format::json;
  return output == "ndjson" ? Format::ndjson : Format::table;
}

std::string Context::socket_path() const { return client_socket_path(socket); }

Connection& Context::connection() {
  if (!connection_) connection_ = std::make_unique<Connection>(socket_path());
  return *connection_;
}

void Context::call(std::string_view method, const google::protobuf::Message& request,
                   google::protobuf::Message& response) {
  call(method, request, response, connection().answer_timeout());
}

void Context::call(std::string_view method, const google::protobuf::Message& request,
                   google::protobuf::Message& response, std::chrono::milliseconds answer_timeout) {
  if (format() != Format::json) return connection().call(method, request, response, answer_timeout);
  const std::string answer = connection().call_json(method, to_json(request), answer_timeout);
  print(answer);
  if (!answer.ends_with('\n')) print("\n");
  read_json(answer, response);
}

void Context::call_quietly(std::string_view method, const google::protobuf::Message& request,
                           google::protobuf::Message& response) {
  connection().call(method, request, response);
}

Screen Context::screen() const {
  Screen screen{.colours = colours()};
  if (stdout_is_terminal()) screen.width = terminal_width();
  return screen;
}

bool Context::colours() const {
  if (color == "always") return true;
  return color == "auto" && stdout_is_terminal() && terminal_has_colours();
}

bool Context::stdout_is_terminal() const { return ::isatty(STDOUT_FILENO) == 1; }
bool Context::stderr_is_terminal() const { return ::isatty(STDERR_FILENO) == 1; }

std::string to_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) throw std::runtime_error("cannot write JSON: " + status.ToString());
  return json;
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return;
  throw std::runtime_error("cannot write to stdout: " + error_text(errno));
}

}  // namespace poold::cli
