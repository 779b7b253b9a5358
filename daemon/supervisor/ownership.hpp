// Who owns a socket and a state directory: decided by record locks, never by asking whether somebody answers.
// The kernel drops a lock with its holder, however that ended, and names the holder to whoever wants to know.
#pragma once

#include <chrono>
#include <string>
#include <variant>

#include "common/seqpacket.hpp"

namespace poold::supervisor {

// Why this daemon does not start, as one line.
struct Refusal {
  std::string message;
};

// A record lock on a whole file, held until the process ends or the object goes. The file stays: a lock file
// that comes and goes can have two owners. Nothing else in the process may open it, or closing that would
// drop the lock.
class FileLock {
 public:
  // `what` is for the refusal: "socket /run/poold/control.sock", say.
  static std::variant<FileLock, Refusal> take(const std::string& path, const std::string& what);

 private:
  explicit FileLock(FileDescriptor file) : file_(std::move(file)) {}
  FileDescriptor file_;
};

// An engine whose supervisor was killed is killed with it; ten seconds are for a machine that is busy writing
// its memory out.
inline constexpr std::chrono::seconds engine_lock_patience{10};

// Returns when nobody holds the engine's lock on the store, or refuses after `patience`.
std::variant<std::monostate, Refusal> wait_for_engine_lock(const std::string& path,
                                                           std::chrono::milliseconds patience);

// Creates what is missing of an absolute path; parents with `parents_mode`. What exists must be a directory
// and stays as it is.
std::variant<std::monostate, Refusal> make_directory(const std::string& path, unsigned mode,
                                                     unsigned parents_mode);

}  // namespace poold::supervisor
