#include "client/cli/work_options.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "client/cli/reading.hpp"
#include "client/cpp/src/socket.hpp"
#include "common/frame.hpp"

namespace poold::cli {
namespace {

// Like K=V; K alone copies the caller's value.
std::pair<std::string, std::string> read_env(const std::string& text) {
  if (text.find('=') != std::string::npos) return read_pair("--env", text);
  const char* value = std::getenv(text.c_str());
  if (!value)
    throw UsageError("--env " + text + ": not set here (accepted: K=V, or K to copy the caller's value)");
  return {text, value};
}

std::string current_directory() {
  std::error_code error;
  const auto path = std::filesystem::current_path(error);
  if (error) throw UsageError("cannot tell the current directory (" + error.message() + "): give --cwd");
  return path.string();
}

std::string absolute(const std::string& path) {
  return path.starts_with('/')
             ? path
             : (std::filesystem::path(current_directory()) / path).lexically_normal().string();
}

std::string read_stdin_file(const std::string& path) {
  const FileDescriptor file(path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) throw UsageError("--stdin " + path + ": " + error_text(errno));
  std::string bytes;
  std::string piece(256 * 1024, '\0');
  for (;;) {
    const ssize_t n = ::read(file.get(), piece.data(), piece.size());
    if (n == 0) return bytes;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw UsageError("--stdin " + path + ": " + error_text(errno));
    bytes.append(piece, 0, static_cast<std::size_t>(n));
    if (bytes.size() > frame_payload_max) throw UsageError("--stdin " + path + ": more than 16 MiB");
  }
}

// CLI11's own words name neither the value nor what would be right.
CLI::Validator whole_number(std::int64_t low, std::int64_t high) {
  return CLI::Validator(
      [low, high](const std::string& text) {
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        const bool whole = error == std::errc() && end == text.data() + text.size();
        if (whole && low <= number && number <= high) return std::string();
        return text + " is not a whole number from " + std::to_string(low) + " to " + std::to_string(high);
      },
      "");
}

constexpr std::int64_t attempts_max = 1'000'000;  // the daemon's

}  // namespace

void WorkOptions::add_to(CLI::App& verb) {
  const auto repeated = [&](const char* option, std::vector<std::string>& into, const char* text,
                            const char* type) {
    verb.add_option(option, into, text)->allow_extra_args(false)->type_name(type);
  };
  verb.add_option("--pool", pool, "Pool to run it (default: default)")->type_name("POOL");
  verb.add_option("--name", name, "Name for lists (default: the program's or function's)")->type_name("NAME");
  repeated("--label", labels, "Label for selection (may be repeated)", "K=V");
  verb.add_option("--key", key, "Idempotency key: the same key and task is submitted once")->type_name("KEY");
  verb.add_option("--priority", priority, "Higher runs first (default: 0)")
      ->type_name("N")
      ->check(
          whole_number(std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()));
  verb.add_option("--attempts", attempts, "Attempts if it fails (default: 1)")
      ->type_name("N")
      ->check(whole_number(0, attempts_max));
  verb.add_option("--crash-attempts", crash_attempts, "Attempts if its worker dies (default: the pool's)")
      ->type_name("N")
      ->check(whole_number(0, attempts_max));
  schedule.add_to(verb);
  repeated("--env", env, "Environment for a command; K copies the caller's value", "K=V");
  verb.add_option("--cwd", cwd, "Directory of a command (default: the current one)")->type_name("DIR");
  verb.add_option("--stdin", stdin_file,
                  "File that a command reads as its standard input; - is poolctl's own")
      ->type_name("FILE");
  verb.add_option("--function", function,
                  "Call this function; the words that follow are its arguments, each JSON or a string")
      ->type_name("NAME");
  repeated("--kw", kwargs, "Named argument of a function, JSON or a string", "K=V");
}

void WorkOptions::check(const WorkLine& line) const {
  if (line.function_mode && (!env.empty() || !cwd.empty() || !stdin_file.empty()))
    throw UsageError("--env, --cwd and --stdin are for commands, not for --function");
  if (!line.function_mode && !kwargs.empty()) throw UsageError("--kw needs --function");
}

TaskSpec WorkOptions::read(const WorkLine& line) const {
  check(line);
  return line.function_mode ? TaskSpec(read_function(line.words), read_options())
                            : TaskSpec(read_command(line.words), read_options());
}

TaskTemplate WorkOptions::read_template(const WorkLine& line) const {
  check(line);
  if (!line.function_mode) return {read_command(line.words), read_options()};
  CallWords call{function, line.words, {}};
  for (const std::string& text : kwargs) call.kwargs.push_back(read_pair("--kw", text));
  return {std::move(call), read_options()};
}

SubmitOptions WorkOptions::read_options() const {
  SubmitOptions options;
  options.pool = pool;
  options.name = name;
  options.key = key;
  options.priority = priority;
  options.attempts = attempts;
  options.crash_attempts = crash_attempts;
  schedule.read(options);
  for (const std::string& text : labels) {
    auto [label, value] = read_pair("--label", text);
    options.labels[label] = std::move(value);
  }
  return options;
}

Command WorkOptions::read_command(const Words& words) const {
  if (words.empty() || words.front().empty())
    throw UsageError("what is to run? Give a command, as in: -- sha256sum file");
  Command command;
  command.argv = words;
  for (const std::string& text : env) {
    auto [variable, value] = read_env(text);
    command.env[variable] = std::move(value);
  }
  command.cwd = cwd.empty() ? current_directory() : absolute(cwd);
  if (!stdin_file.empty()) command.stdin_data = read_stdin_file(stdin_file);
  return command;
}

Function WorkOptions::read_function(const Words& words) const {
  Function call;
  call.name = function;
  for (const std::string& word : words) call.args.push_back(read_value(word));
  for (const std::string& text : kwargs) {
    auto [key_word, value] = read_pair("--kw", text);
    call.kwargs[key_word] = read_value(value);
  }
  return call;
}

}  // namespace poold::cli
