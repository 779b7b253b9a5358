#include "daemon/supervisor/program.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/seqpacket.hpp"

namespace poold::supervisor {
namespace {

// What execvp takes where PATH is not set.
constexpr std::string_view path_default = "/usr/local/bin:/usr/bin:/bin";

bool executable_file(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) < 0) return false;
  if (!S_ISREG(status.st_mode)) {
    errno = EACCES;
    return false;
  }
  return ::access(path.c_str(), X_OK) == 0;
}

// The first executable file of that name in the directories; else ENOENT, or EACCES if one was there that may
// not be executed.
std::variant<std::string, int> look_up(std::string_view name, std::string_view directories) {
  int error = ENOENT;
  while (!directories.empty()) {
    const std::size_t colon = directories.find(':');
    const std::string_view directory = directories.substr(0, colon);
    directories = colon == std::string_view::npos ? std::string_view{} : directories.substr(colon + 1);
    if (!directory.starts_with('/')) continue;
    std::string candidate(directory);
    candidate.append("/").append(name);
    if (executable_file(candidate)) return candidate;
    if (errno == EACCES) error = EACCES;
  }
  return error;
}

// The interpreter that a script's first line names; empty for anything else.
std::string interpreter_of(const std::string& path) {
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return {};
  char head[256];
  const ssize_t size = ::pread(file.get(), head, sizeof head, 0);
  if (size < 3) return {};
  std::string_view line(head, static_cast<std::size_t>(size));
  if (!line.starts_with("#!")) return {};
  line = line.substr(2, line.find('\n') - 2);
  const std::size_t first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  line.remove_prefix(first);
  return std::string(line.substr(0, line.find_first_of(" \t\r")));
}

// The pool's own program.
std::variant<Program, StartError> own_program(const settings::Pool& pool, const Environment& environment) {
  const std::string& name = pool.program.front();
  if (name.find('/') != std::string::npos) return Program{name, pool.program, false};

  const std::string_view configured = value_of(environment, "PATH");
  const std::string_view path = configured.empty() ? path_default : configured;
  std::variant<std::string, int> found = look_up(name, path);
  if (auto* candidate = std::get_if<std::string>(&found))
    return Program{std::move(*candidate), pool.program, false};
  const int error = std::get<int>(found);
  return StartError{
      error, name,
      (error == ENOENT ? "not found in PATH (" : "not executable in PATH (") + std::string(path) + ")"};
}

}  // namespace

std::string to_string(const StartError& error) { return error.path + ": " + error.message; }

ProgramDirectories find_directories(const std::string& own_directory) {
  const std::size_t slash = own_directory.find_last_of('/');
  const std::string parent = slash == std::string::npos ? std::string(".") : own_directory.substr(0, slash);
  const ProgramDirectories installed{parent + "/libexec/poold", parent + "/lib/poold"};
  const auto has_engine = [](const std::string& directory) {
    return ::access((directory + "/poold-engine").c_str(), F_OK) == 0;
  };
  // Where there is none at all, the error should name the place beside poold.
  if (!has_engine(own_directory) && has_engine(installed.programs)) return installed;
  return {own_directory, parent + "/lib"};
}

std::variant<Program, StartError> worker_program(const settings::Pool& pool,
                                                 const ProgramDirectories& directories,
                                                 const Environment& environment) {
  if (pool.program.empty()) {
    Program program{directories.programs + "/poold-worker", {"poold-worker"}, true};
    if (pool.plugin.empty()) return program;
    const bool bare_name = pool.plugin.find('/') == std::string::npos;
    program.argv.push_back("--plugin");
    // Not looked for here: poold-worker loads it and says what is wrong with it.
    program.argv.push_back(bare_name ? directories.plugins + "/" + pool.plugin : pool.plugin);
    return program;
  }
  std::variant<Program, StartError> own = own_program(pool, environment);
  if (pool.protocol == settings::WorkerProtocol::frames || std::holds_alternative<StartError>(own))
    return own;
  // poold-worker starts it, and says what is wrong with it.
  Program program{
      directories.programs + "/poold-worker", {"poold-worker", "--lines", std::get<Program>(own).path}, true};
  program.argv.insert(program.argv.end(), pool.program.begin() + 1, pool.program.end());
  return program;
}

std::string describe_exec_error(int errno_value, const std::string& path) {
  const std::string plain = std::strerror(errno_value);
  if (errno_value == ENOEXEC) return plain + " (a script needs a first line such as #!/bin/sh)";
  if (errno_value == ENOENT && ::access(path.c_str(), F_OK) == 0) {
    const std::string interpreter = interpreter_of(path);
    return "its interpreter " + (interpreter.empty() ? "(the dynamic loader)" : interpreter) + " is missing";
  }
  if (errno_value == EACCES && executable_file(path)) {
    const std::string interpreter = interpreter_of(path);
    if (!interpreter.empty()) return "its interpreter " + interpreter + " may not be executed";
  }
  return plain;
}

}  // namespace poold::supervisor
