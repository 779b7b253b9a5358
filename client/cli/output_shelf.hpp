// The output of tasks that cannot be printed yet: in memory as long as it is little, then in a temporary file
// that has no name, so that it goes with its process. Prints nothing.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/seqpacket.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::cli {

class OutputShelf {
 public:
  struct Piece {
    v1::LogChunk chunk;
    off_t offset = 0;           // in the file
    std::size_t file_size = 0;  // more than 0: the data is there and not in the chunk
  };
  // One task's.
  struct Output {
    std::vector<Piece> pieces;
    std::uint64_t bytes = 0;
  };

  // Beyond `memory_max` bytes of all outputs together the file is used.
  explicit OutputShelf(std::size_t memory_max = 8 * 1024 * 1024) : memory_max_(memory_max) {}

  void add(Output& output, v1::LogChunk&& chunk);
  void add(Output& output, v1::LogChunk::Stream stream, std::string_view bytes);
  // Hands the pieces over in order until the sink returns false; then the output is empty. False as the sink.
  using Sink = std::function<bool(const v1::LogChunk& chunk)>;
  bool take(Output& output, const Sink& sink);
  void drop(Output& output);

 private:
  void put_away(Piece& piece);
  void bring_back(Piece& piece);
  void let_go(Piece& piece);

  std::size_t memory_max_;
  std::size_t memory_bytes_ = 0;
  FileDescriptor file_;
  off_t file_end_ = 0;
  std::size_t file_bytes_ = 0;  // that are still wanted
};

}  // namespace poold::cli
