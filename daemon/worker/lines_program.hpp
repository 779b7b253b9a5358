// The program behind a worker of `protocol: lines`: its process, and the pipes on its descriptors 0, 1 and 2.
// Lines and bytes only; what they mean is decided in lines_worker.cpp.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/seqpacket.hpp"
#include "daemon/worker/line_reader.hpp"

namespace poold::worker {

class LinesProgram {
 public:
  // `argv[0]` is executed as it is. What could not be had, in words, if it does not run.
  static std::variant<LinesProgram, std::string> start(const std::vector<std::string>& argv);

  // To be polled: for output, where it is to be read and what has no end yet; -1: nothing to wait for.
  int input() const { return unwritten_.empty() ? -1 : to_.get(); }
  int output() const { return from_.get(); }
  int errors() const { return errors_.get(); }
  int end() const { return pidfd_.get(); }

  // Puts lines behind those that the pipe has not taken yet.
  void write(std::string_view lines) { unwritten_ += lines; }
  // Its input ends after what was written so far.
  void end_input() { ending_ = true; }
  // Writes what the pipe takes now.
  void flush();

  LineReader& lines() { return lines_; }
  // Takes a piece of its output. False if it has closed it.
  bool read_output();
  // Takes all of its errors that are there at this moment, and no more, since others may go on writing.
  void take_errors(const std::function<void(std::string_view)>& taken);

  void kill() const;
  // The wait status of a process that has ended.
  int reap();

 private:
  LinesProgram();

  pid_t pid_ = -1;
  FileDescriptor pidfd_;
  FileDescriptor to_, from_, errors_;
  std::string unwritten_;
  bool ending_ = false;
  LineReader lines_;
  std::vector<char> buffer_;
};

}  // namespace poold::worker
