// Bytes into lines, of bounded length. Sans-I/O, and without a word about what a line means.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace poold::worker {

class LineReader {
 public:
  explicit LineReader(std::size_t size_max) : size_max_(size_max) {}

  // Invalidates the line that was handed out before.
  void feed(std::string_view bytes);
  // The next whole line without its end; nothing if there is none yet, or if the next one is too long.
  std::optional<std::string_view> next();
  // The next line is longer than a line may be. Nothing comes after it.
  bool too_long() const { return too_long_; }

 private:
  std::size_t size_max_;
  std::string buffer_;
  std::size_t begin_ = 0;     // where the next line begins
  std::size_t searched_ = 0;  // there is no end of it before this
  bool too_long_ = false;
};

}  // namespace poold::worker
