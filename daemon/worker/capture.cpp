#include "daemon/worker/capture.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace poold::worker {

std::variant<Capture, int> Capture::open(AttemptLogWriter log) {
  Capture capture(std::move(log));
  for (Pipe* pipe : {&capture.out_, &capture.err_}) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return errno;
    pipe->read = FileDescriptor(ends[0]);
    pipe->write = FileDescriptor(ends[1]);
  }
  return capture;
}

bool Capture::take_up_to(LogStream stream, std::span<char> buffer) {
  ssize_t got;
  do got = ::read(own_end(stream), buffer.data(), buffer.size());
  while (got < 0 && errno == EINTR);
  return got > 0 && log_.append(stream, buffer.first(static_cast<std::size_t>(got)));
}

bool Capture::take(LogStream stream, std::span<char> buffer) { return take_up_to(stream, buffer); }

bool Capture::take_rest(std::span<char> buffer) {
  bool created = false;
  for (const LogStream stream : {LogStream::out, LogStream::err}) {
    int waiting = 0;
    if (::ioctl(own_end(stream), FIONREAD, &waiting) < 0) continue;
    for (auto left = static_cast<std::size_t>(waiting); left > 0; left -= std::min(left, buffer.size()))
      created |= take_up_to(stream, buffer.first(std::min(left, buffer.size())));
  }
  log_.finish();
  return created;
}

}  // namespace poold::worker
