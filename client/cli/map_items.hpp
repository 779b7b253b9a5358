// Where map's items come from: a list, or a file that is read no faster than tasks are wanted, so that a
// million lines take no memory. Never waits: whoever asks polls descriptor() when there is nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "client/cli/command_line.hpp"
#include "common/seqpacket.hpp"

namespace poold::cli {

// Bytes in, items out. The last item need not be ended by the delimiter.
class ItemSplitter {
 public:
  explicit ItemSplitter(char delimiter) : delimiter_(delimiter) {}

  // Throws UsageError for an item that no task could carry (16 MiB).
  void feed(std::string_view bytes);
  void finish() { finished_ = true; }
  // Valid until the next feed().
  std::optional<std::string_view> next();

 private:
  char delimiter_;
  bool finished_ = false;
  std::string bytes_;
  std::size_t taken_ = 0;
};

class ItemSource {
 public:
  explicit ItemSource(Words items);
  // `name` is for errors. `count_ahead`: look through a regular file once to know the total.
  ItemSource(FileDescriptor file, std::string name, char delimiter, bool count_ahead);

  // The next item, valid until the next call; none if there is none now.
  std::optional<std::string_view> next();
  bool ended() const { return ended_; }
  // To be polled for reading when next() had nothing and the source has not ended; -1 if there is no need.
  int descriptor() const { return file_.get(); }

  std::uint64_t taken() const { return taken_; }
  // All there are, if that is known.
  std::optional<std::uint64_t> total() const;

 private:
  bool read_some();

  Words list_;
  FileDescriptor file_;
  std::string name_;
  ItemSplitter splitter_;
  std::string space_;
  std::uint64_t taken_ = 0;
  std::optional<std::uint64_t> counted_;
  bool file_ended_ = false;
  bool ended_ = false;
};

}  // namespace poold::cli
