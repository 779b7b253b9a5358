// The file of one worker of a disk pool: who it is, written by the supervisor that started it, and its last
// words, written by the worker itself once that supervisor is gone. The format only; who may be believed is
// decided in daemon/supervisor/worker_files.hpp.
//
//   0     the head: lines of text, padded with zeros
//   1024  two statements of 64 bytes, one after the other: "said OFFSET SIZE HASH" names a piece of what
//   follows 4096  pieces
//
// A worker speaks at most twice. The second statement counts if it is there; a piece is synced before its
// statement is written, so that a statement names nothing that is not there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace poold {

inline constexpr int worker_file_descriptor = 6;
inline constexpr const char* worker_file_variable = "POOLD_WORKER_FILE";

// Who the worker is. Pid, start time and boot name one process for ever.
struct WorkerFileHead {
  std::string pool;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::int32_t pid = 0;           // 0: it is being started
  std::uint64_t start_ticks = 0;  // after the boot, as /proc/PID/stat has it
  std::string boot;               // /proc/sys/kernel/random/boot_id

  bool operator==(const WorkerFileHead&) const = default;
};

// False, with errno set, if it cannot be written.
bool write_head(int file, const WorkerFileHead& head);
// Nothing if there is none, or what is there is no head.
std::optional<WorkerFileHead> read_head(int file);

// The `count`th time, from 0. On the disk when this returns true; false, with errno set, otherwise.
bool write_last_words(int file, unsigned count, std::string_view words);
inline constexpr unsigned last_words_max = 2;

struct NothingSaid {};
struct DamagedWords {
  std::string reason;
};
std::variant<std::string, NothingSaid, DamagedWords> read_last_words(int file);

// What the kernel says now; nothing if there is no such process.
std::optional<std::uint64_t> start_ticks_of(std::int32_t pid);
std::string boot_id();

}  // namespace poold
