// A witness of attempts, for test_kills.py: writes down when an attempt starts and ends, and notices another
// attempt of the same task beside it.
//
// Each attempt holds a lock on one byte of the log, far behind its end, as long as it lives; the kernel lets
// go when the process dies, however it dies, and before anybody is told of its death. So whoever finds the
// byte locked runs beside another attempt. No lock is waited for, and each line is one write with O_APPEND,
// as long as all others.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace witness {

class Log {
 public:
  Log(const std::string& path, std::int64_t task)
      : file_(::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600)), task_(task) {
    if (file_ < 0) throw std::runtime_error("cannot open " + path);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = (std::int64_t{1} << 40) + task;
    lock.l_len = 1;
    const bool alone = ::fcntl(file_, F_OFD_SETLK, &lock) == 0;
    write(alone ? 'S' : 'O');
  }
  ~Log() { ::close(file_); }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void end() { write('E'); }

 private:
  void write(char what) {
    char words[line_size], line[line_size + 1];
    std::snprintf(words, sizeof words, "%c %lld %d", what, static_cast<long long>(task_), ::getpid());
    std::snprintf(line, sizeof line, "%-*s\n", line_size - 1, words);
    if (::write(file_, line, line_size) != line_size)
      throw std::runtime_error("cannot write the witness log");
  }

  // Divides a page: the kernel may cut the write of a killed process where a page ends.
  static constexpr int line_size = 32;

  int file_;
  std::int64_t task_;
};

// What the task returns, so that a wrong result shows.
inline std::int64_t answer(std::int64_t task) { return task * 7 + 1; }

}  // namespace witness
