// The output of one command: two pipes, and the attempt's log that what comes through them is appended to.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "common/attempt_log.hpp"
#include "common/seqpacket.hpp"

namespace poold::worker {

class Capture {
 public:
  // The errno if there are no descriptors left.
  static std::variant<Capture, int> open(AttemptLogWriter log);

  int child_end(LogStream stream) const { return pipe(stream).write.get(); }
  // To be polled for input. It has no end while this lives: this side keeps the other end open, too, so that
  // a command's closing its output wakes nobody.
  int own_end(LogStream stream) const { return pipe(stream).read.get(); }

  // Takes one piece from a pipe that has something. True if this created the log.
  bool take(LogStream stream, std::span<char> buffer);
  // The first process has ended: takes what is in the pipes at this moment, and no more, since others may go
  // on writing. True as above.
  bool take_rest(std::span<char> buffer);

 private:
  struct Pipe {
    FileDescriptor read;
    FileDescriptor write;
  };
  explicit Capture(AttemptLogWriter log) : log_(std::move(log)) {}
  const Pipe& pipe(LogStream stream) const { return stream == LogStream::out ? out_ : err_; }
  bool take_up_to(LogStream stream, std::span<char> buffer);

  AttemptLogWriter log_;
  Pipe out_;
  Pipe err_;
};

}  // namespace poold::worker
