// A witness of attempts, for test_kills.py: writes down when an attempt starts and ends, and notices another
// attempt of the same task beside it.
//
// Each attempt holds a lock on one byte of the log, far behind its end, as long as it lives; the kernel lets
// go when the process dies, however it dies, and before anybody is told of its death. So whoever finds the
// byte locked runs beside another attempt. No lock is waited for, and each line is one write with O_APPEND.
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
    char line[64];
    const int size =
        std::snprintf(line, sizeof line, "%c %lld %d\n", what, static_cast<long long>(task_), ::getpid());
    if (::write(file_, line, static_cast<std::size_t>(size)) != size)
      throw std::runtime_error("cannot write the witness log");
  }

  int file_;
  std::int64_t task_;
};

// What the task returns, so that a wrong result shows.
inline std::int64_t answer(std::int64_t task) { return task * 7 + 1; }

}  // namespace witness
