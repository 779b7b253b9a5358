// Finding and reading the configuration file, and writing down what is wrong with it. The content is
// settings.cpp's.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "common/seqpacket.hpp"
#include "daemon/settings/settings.hpp"

namespace poold::settings {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

std::string to_string(const Error& error) {
  std::string text = error.file;
  if (error.line > 0)
    text.append(":").append(std::to_string(error.line)).append(":").append(std::to_string(error.column));
  if (!text.empty()) text += ": ";
  if (!error.path.empty()) text += error.path + ": ";
  return text + error.message;
}

std::variant<std::string, Error> read_file(const std::string& path) {
  const auto failed = [&](const char* what) { return Error{path, 0, 0, "", what}; };
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file.valid()) return failed(std::strerror(errno));
  // Read to the end instead of asking for the size: the file may be a pipe.
  std::string text;
  while (text.size() <= text_size_max) {
    const std::size_t have = text.size();
    text.resize(have + 16 * 1024);
    const ssize_t got = ::read(file.get(), text.data() + have, text.size() - have);
    text.resize(have + (got > 0 ? static_cast<std::size_t>(got) : 0));
    if (got < 0 && errno != EINTR) return failed(std::strerror(errno));
    if (got == 0) return text;
  }
  return failed("larger than 1 MiB");
}

std::string default_path() {
  std::string home = environment("XDG_CONFIG_HOME");
  if (home.empty() && !environment("HOME").empty()) home = environment("HOME") + "/.config";
  if (const std::string own = home + "/poold/poold.yaml"; !home.empty() && ::access(own.c_str(), F_OK) == 0)
    return own;
  const std::string system = "/etc/poold/poold.yaml";
  return ::access(system.c_str(), F_OK) == 0 ? system : "";
}

}  // namespace poold::settings
