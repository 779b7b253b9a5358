// The log of one attempt's output: written by the command's worker, read by the engine while it grows and
// afterwards.
//
// A file of records: one byte of stream (1 stdout, 2 stderr, 3 mark), a big-endian u32 length, the data. No
// record crosses a boundary of 64 KiB, so that each such chunk begins with a record's head, and whoever wants
// to read somewhere begins at that chunk. A zero where a stream byte should be pads to the chunk's end. A
// mark's data is a big-endian u64: so many bytes of output were dropped here.
//
// A log keeps its first and its last half: when it grows beyond its size, whole chunks of the middle are
// given back to the file system as a hole, so that offsets only grow and never change their meaning. Nothing
// here knows tasks, pools or protocols.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/seqpacket.hpp"

namespace poold {

enum class LogStream : std::uint8_t { out = 1, err = 2 };

inline constexpr std::uint64_t log_chunk_size = 64 * 1024;

// DIRECTORY/ID.ATTEMPT.log
std::string attempt_log_path(std::string_view directory, std::string_view task_id, std::uint32_t attempt);

// Never fails its caller: what cannot be written is counted as dropped, and the reason is kept.
class AttemptLogWriter {
 public:
  // Nothing is created before the first output. At most `size_max` bytes are kept on disk; below 384 KiB, or
  // on a file system that makes no holes, these are the first ones.
  AttemptLogWriter(std::string path, std::uint64_t size_max);

  // Writes at the end, with one system call for up to 64 KiB. True if this created the file.
  bool append(LogStream stream, std::span<const char> bytes);
  // No more output will come. If some was dropped at the end, leaves a mark there.
  void finish();

  bool exists() const { return file_.valid(); }
  // Bytes of output that are not in the file and not in its hole.
  std::uint64_t dropped() const { return dropped_; }
  // The errno that ended the writing, such as ENOSPC; 0 if all is well.
  int error() const { return error_; }

 private:
  bool open();
  void write_piece(std::uint8_t kind, std::span<const char> bytes);
  bool make_room(std::uint64_t new_end);

  std::string path_;
  FileDescriptor file_;
  std::uint64_t size_max_;
  std::uint64_t head_;      // where the part that is kept for ever ends
  std::uint64_t end_ = 0;   // the file's size
  std::uint64_t hole_end_;  // chunks from head_ to here were given back
  std::uint64_t dropped_ = 0;
  int error_ = 0;
  bool full_ = false;  // nothing is written any more
};

// Reads any file as if it were a log: a worker may have written anything. Never throws, never reads more than
// about what was asked for.
class AttemptLogReader {
 public:
  // A file opened for reading; its file offset is moved.
  explicit AttemptLogReader(FileDescriptor file) : file_(std::move(file)) {}

  struct Piece {
    LogStream stream = LogStream::out;
    std::string data;
    // More than 0: about this many bytes of the log are missing here; data is empty.
    std::uint64_t skipped = 0;
  };
  struct Read {
    std::vector<Piece> pieces;
    // Where to go on. The same as was asked for if there is nothing (yet).
    std::uint64_t next_offset = 0;
  };
  // Up to about `limit` bytes of output from `offset` on, which may be any number: inside a record, its rest
  // is returned. Neighbouring records of one stream come as one piece. Empty pieces mean: the end, as it is
  // now.
  Read read(std::uint64_t offset, std::size_t limit);

 private:
  class Scan;
  FileDescriptor file_;
  std::vector<char> chunk_;
};

}  // namespace poold
