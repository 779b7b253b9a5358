#include "daemon/worker/lines_program.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

// glibc 2.36 forgot to say that these are C.
extern "C" {
#include <sys/pidfd.h>
}

#include "daemon/worker/line_messages.hpp"
#include "daemon/worker/spawn.hpp"

namespace poold::worker {
namespace {

// As much as a pipe holds.
constexpr std::size_t piece_size = 64 * 1024;

struct Pipe {
  FileDescriptor read, write;
};

std::optional<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return std::nullopt;
  return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

// Ours alone: the program's end has a description of its own.
bool make_nonblocking(const FileDescriptor& end) { return ::fcntl(end.get(), F_SETFL, O_NONBLOCK) == 0; }

std::string describe(const std::string& path, const SpawnError& error) {
  const bool there = error.errno_value == ENOENT && ::access(path.c_str(), F_OK) == 0;
  const bool formless = error.errno_value == ENOEXEC;
  return "cannot start " + path + ": " + std::strerror(error.errno_value) +
         (there      ? " (its interpreter)"
          : formless ? " (a script needs a first line such as #!/bin/sh)"
                     : "");
}

}  // namespace

LinesProgram::LinesProgram() : lines_(line_size_max), buffer_(piece_size) {}

std::variant<LinesProgram, std::string> LinesProgram::start(const std::vector<std::string>& argv) {
  auto in = make_pipe(), out = make_pipe(), err = make_pipe();
  if (!in || !out || !err || !make_nonblocking(in->write) || !make_nonblocking(out->read) ||
      !make_nonblocking(err->read))
    return std::string("no pipes for the program: ") + std::strerror(errno);
  Program program;
  program.paths = {argv.front()};
  for (const std::string& word : argv) program.argv.push_back(const_cast<char*>(word.c_str()));
  program.argv.push_back(nullptr);
  for (char** variable = environ; *variable; ++variable) program.environment.push_back(*variable);
  program.environment.push_back(nullptr);
  program.in = in->read.get();
  program.out = out->write.get();
  program.err = err->write.get();
  LinesProgram result;
  Spawner spawner;
  const auto spawned = spawner.spawn(program);
  if (const auto* error = std::get_if<SpawnError>(&spawned)) return describe(argv.front(), *error);
  result.pid_ = std::get<pid_t>(spawned);
  result.pidfd_ = FileDescriptor(::pidfd_open(result.pid_, 0));
  if (!result.pidfd_.valid()) return std::string("cannot watch the program: ") + std::strerror(errno);
  result.to_ = std::move(in->write);
  result.from_ = std::move(out->read);
  result.errors_ = std::move(err->read);
  return result;
}

void LinesProgram::flush() {
  std::size_t written = 0;
  while (written < unwritten_.size()) {
    const ssize_t n = ::write(to_.get(), unwritten_.data() + written, unwritten_.size() - written);
    if (n >= 0) {
      written += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      // Nobody reads them any more; that it has ended will show by itself.
      written = unwritten_.size();
    }
  }
  unwritten_.erase(0, written);
  if (unwritten_.empty() && unwritten_.capacity() > piece_size) unwritten_.shrink_to_fit();
  if (unwritten_.empty() && ending_) to_.reset();
}

bool LinesProgram::read_output() {
  const ssize_t got = ::read(from_.get(), buffer_.data(), buffer_.size());
  if (got > 0) lines_.feed({buffer_.data(), static_cast<std::size_t>(got)});
  if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR))) return true;
  from_.reset();
  return false;
}

void LinesProgram::take_errors(const std::function<void(std::string_view)>& taken) {
  int waiting = 0;
  if (!errors_.valid() || ::ioctl(errors_.get(), FIONREAD, &waiting) < 0) return;
  if (waiting == 0) {
    // Perhaps it has ended; perhaps a byte has come meanwhile.
    char byte;
    const ssize_t got = ::read(errors_.get(), &byte, 1);
    if (got == 0) errors_.reset();
    if (got == 1) taken({&byte, 1});
    return;
  }
  for (auto left = static_cast<std::size_t>(waiting); left > 0;) {
    const ssize_t got = ::read(errors_.get(), buffer_.data(), std::min(left, buffer_.size()));
    if (got <= 0) return;
    taken({buffer_.data(), static_cast<std::size_t>(got)});
    left -= static_cast<std::size_t>(got);
  }
}

void LinesProgram::kill() const { ::pidfd_send_signal(pidfd_.get(), SIGKILL, nullptr, 0); }

int LinesProgram::reap() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace poold::worker
