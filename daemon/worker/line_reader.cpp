#include "daemon/worker/line_reader.hpp"

namespace poold::worker {
namespace {

// After a long line the memory is given back.
constexpr std::size_t kept_capacity_max = 1024 * 1024;

}  // namespace

void LineReader::feed(std::string_view bytes) {
  if (too_long_) return;
  buffer_.erase(0, begin_);
  searched_ -= begin_;
  begin_ = 0;
  if (buffer_.empty() && buffer_.capacity() > kept_capacity_max) buffer_.shrink_to_fit();
  buffer_ += bytes;
}

std::optional<std::string_view> LineReader::next() {
  if (too_long_) return std::nullopt;
  const std::size_t end = buffer_.find('\n', searched_);
  const std::size_t size = (end == std::string::npos ? buffer_.size() : end) - begin_;
  if (size > size_max_) {
    too_long_ = true;
    return std::nullopt;
  }
  if (end == std::string::npos) {
    searched_ = buffer_.size();
    return std::nullopt;
  }
  const std::string_view line = std::string_view(buffer_).substr(begin_, size);
  begin_ = searched_ = end + 1;
  return line;
}

}  // namespace poold::worker
