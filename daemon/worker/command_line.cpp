#include "daemon/worker/command_line.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "client/cpp/src/utf8.hpp"
#include "common/allowed_program.hpp"
#include "common/seqpacket.hpp"

namespace poold::worker {
namespace {

// What execvp assumes where PATH is not set.
constexpr std::string_view default_path = "/usr/local/bin:/usr/bin:/bin";

bool has_zero(std::string_view text) { return text.find('\0') != std::string_view::npos; }

std::string_view name_of(std::string_view entry) { return entry.substr(0, entry.find('=')); }

bool concerns_worker_only(std::string_view name) {
  constexpr std::array<std::string_view, 4> names{"POOLD_WORKER", "POOLD_TASK_ID", "POOLD_POOL",
                                                  "POOLD_ATTEMPT"};
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string name_of_errno(int errno_value) {
  const char* name = ::strerrorname_np(errno_value);
  return name ? name : std::to_string(errno_value);
}

// The interpreter that a script names in its first line; empty if it is no script.
std::string interpreter_of(int directory, const std::string& path) {
  const FileDescriptor file(::openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  char head[256];
  const ssize_t got = file.valid() ? ::read(file.get(), head, sizeof head) : 0;
  std::string_view line(head, got > 0 ? static_cast<std::size_t>(got) : 0);
  if (!line.starts_with("#!")) return {};
  line = line.substr(2, line.find('\n') - 2);
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return std::string(line.substr(0, line.find_first_of(" \t")));
}

// ENOENT for a program that is there: what it wants to be run by is not. Empty if it is the program that is
// missing.
std::optional<std::string> missing_interpreter(const Program& program) {
  const FileDescriptor directory(
      program.directory ? ::open(program.directory, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1);
  const int base = directory.valid() ? directory.get() : AT_FDCWD;
  for (const std::string& path : program.paths)
    if (::faccessat(base, path.c_str(), F_OK, 0) == 0) return interpreter_of(base, path);
  return std::nullopt;
}

void set_error(v1::Outcome& outcome, int errno_value, std::string_view what) {
  outcome.mutable_error()->set_type(name_of_errno(errno_value));
  outcome.mutable_error()->set_message(to_utf8(what).append(": ").append(std::strerror(errno_value)));
}

void set_program_error(v1::Outcome& outcome, const std::string& name, const Program& program,
                       int errno_value) {
  outcome.set_exit_code(126);
  if (errno_value != ENOENT) return set_error(outcome, errno_value, name);
  const auto interpreter = missing_interpreter(program);
  if (!interpreter) {
    outcome.set_exit_code(127);
    set_error(outcome, errno_value, name);
  } else {
    set_error(outcome, errno_value,
              name + ": bad interpreter" + (interpreter->empty() ? "" : " " + *interpreter));
  }
}

}  // namespace

CommandLine::CommandLine(std::string pool) : pool_(std::move(pool)) {
  for (char** entry = environ; *entry; ++entry)
    if (!concerns_worker_only(name_of(*entry))) inherited_.emplace_back(*entry);
}

std::optional<std::string> CommandLine::prepare(const v1::WorkerTask& task, Program& program) {
  const v1::Command& command = task.spec().command();
  if (auto wrong = set_arguments(command, program)) return wrong;
  if (auto wrong = set_environment(task, program)) return wrong;
  if (has_zero(command.cwd())) return "the working directory has a zero byte in it";
  program.directory = command.cwd().empty() ? nullptr : command.cwd().c_str();
  return set_paths(program);
}

std::optional<std::string> CommandLine::set_arguments(const v1::Command& command, Program& program) {
  const auto& arguments = command.argv_bytes().empty() ? command.argv() : command.argv_bytes();
  if (arguments.empty()) return "the command has no program";
  program.argv.clear();
  for (const std::string& argument : arguments) {
    if (has_zero(argument)) return "an argument has a zero byte in it";
    program.argv.push_back(const_cast<char*>(argument.c_str()));
  }
  program.argv.push_back(nullptr);
  return std::nullopt;
}

std::optional<std::string> CommandLine::set_environment(const v1::WorkerTask& task, Program& program) {
  const auto& env = task.spec().command().env();
  added_.clear();
  const auto add = [&](const char* name, std::string_view value) {
    if (!env.contains(name)) added_.push_back(std::string(name).append("=").append(value));
  };
  add("POOLD_TASK_ID", task.id());
  add("POOLD_POOL", pool_);
  add("POOLD_ATTEMPT", std::to_string(task.attempt()));
  for (const auto& [name, value] : env) {
    if (name.empty() || name.find('=') != std::string::npos || has_zero(name))
      return "a variable of the environment has no name, or one with '=' or a zero byte in it";
    if (!allowed_.empty() && changes_program(name))
      return "this pool does not take the variable " + to_utf8(name);
    if (has_zero(value)) return "a variable of the environment has a zero byte in it";
    added_.push_back(name + "=" + value);
  }
  program.environment.clear();
  for (const std::string& entry : inherited_)
    if (env.empty() || !env.contains(std::string(name_of(entry))))
      program.environment.push_back(const_cast<char*>(entry.c_str()));
  for (const std::string& entry : added_) program.environment.push_back(const_cast<char*>(entry.c_str()));
  program.environment.push_back(nullptr);
  return std::nullopt;
}

std::optional<std::string> CommandLine::set_paths(Program& program) const {
  const std::string name = program.argv[0];
  program.paths.clear();
  if (!allowed_.empty()) {
    const auto path = find_allowed(allowed_, name);
    if (!path) return "this pool may not run " + to_utf8(name);
    program.paths.emplace_back(*path);
    return std::nullopt;
  }
  if (name.empty() || name.find('/') != std::string::npos) {
    program.paths.push_back(name);
    return std::nullopt;
  }
  std::string_view path = default_path;
  for (const char* entry : program.environment)
    if (entry && std::string_view(entry).starts_with("PATH=")) path = std::string_view(entry).substr(5);
  for (;;) {
    const std::size_t colon = path.find(':');
    const std::string_view directory = path.substr(0, colon);
    program.paths.push_back(directory.empty() ? name : std::string(directory).append("/").append(name));
    if (colon == std::string_view::npos) return std::nullopt;
    path.remove_prefix(colon + 1);
  }
}

void set_refusal(v1::Outcome& outcome, int errno_value, std::string_view what) {
  outcome.set_kind(v1::Outcome::REJECTED);
  set_error(outcome, errno_value, what);
}

void set_spawn_error(v1::Outcome& outcome, const v1::Command& command, const Program& program,
                     const SpawnError& error) {
  const bool no_room = error.errno_value == EAGAIN || error.errno_value == ENOMEM;
  if (error.stage == SpawnError::Stage::process || no_room)
    return set_refusal(outcome, error.errno_value, "cannot start a process");
  outcome.set_kind(v1::Outcome::EXITED);
  if (error.stage == SpawnError::Stage::directory) {
    outcome.set_exit_code(126);
    set_error(outcome, error.errno_value, "working directory " + command.cwd());
  } else {
    set_program_error(outcome, program.argv[0], program, error.errno_value);
  }
}

}  // namespace poold::worker
