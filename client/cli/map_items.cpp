#include "client/cli/map_items.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "client/cli/reading.hpp"
#include "client/cpp/src/socket.hpp"
#include "common/frame.hpp"

namespace poold::cli {
namespace {

constexpr std::size_t read_size = 64 * 1024;

// How many items the rest of a regular file has; none for anything else.
std::optional<std::uint64_t> count_items(int fd, char delimiter) {
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return {};
  off_t at = ::lseek(fd, 0, SEEK_CUR);
  if (at < 0) return {};
  std::string space(1024 * 1024, '\0');
  std::uint64_t count = 0;
  char last = delimiter;
  for (;;) {
    const ssize_t n = ::pread(fd, space.data(), space.size(), at);
    if (n < 0) return {};
    if (n == 0) return last == delimiter ? count : count + 1;
    const auto size = static_cast<std::size_t>(n);
    count += static_cast<std::uint64_t>(std::count(space.data(), space.data() + size, delimiter));
    last = space[size - 1];
    at += n;
  }
}

}  // namespace

void ItemSplitter::feed(std::string_view bytes) {
  bytes_.erase(0, std::exchange(taken_, 0));
  bytes_.append(bytes);
  if (bytes_.size() > frame_payload_max && bytes_.find(delimiter_) == std::string::npos)
    throw UsageError("an item has more than 16 MiB (is its delimiter the right one? See -0)");
}

std::optional<std::string_view> ItemSplitter::next() {
  const std::string_view rest = std::string_view(bytes_).substr(taken_);
  const std::size_t end = rest.find(delimiter_);
  if (end != std::string_view::npos) {
    taken_ += end + 1;
    return rest.substr(0, end);
  }
  if (!finished_ || rest.empty()) return {};
  taken_ = bytes_.size();
  return rest;
}

ItemSource::ItemSource(Words items) : list_(std::move(items)), splitter_('\n'), counted_(list_.size()) {}

ItemSource::ItemSource(FileDescriptor file, std::string name, char delimiter, bool count_ahead)
    : file_(std::move(file)), name_(std::move(name)), splitter_(delimiter), space_(read_size, '\0') {
  if (count_ahead) counted_ = count_items(file_.get(), delimiter);
}

std::optional<std::uint64_t> ItemSource::total() const { return ended_ ? taken_ : counted_; }

std::optional<std::string_view> ItemSource::next() {
  if (ended_) return {};
  if (!file_.valid()) {
    if (taken_ < list_.size()) return list_[static_cast<std::size_t>(taken_++)];
    ended_ = true;
    return {};
  }
  for (;;) {
    if (const auto item = splitter_.next()) {
      ++taken_;
      return item;
    }
    if (file_ended_) {
      ended_ = true;
      return {};
    }
    if (!read_some()) return {};
  }
}

// False if there is nothing to be read now.
bool ItemSource::read_some() {
  pollfd entry{file_.get(), POLLIN, 0};
  if (::poll(&entry, 1, 0) == 0) return false;
  const ssize_t n = ::read(file_.get(), space_.data(), space_.size());
  if (n > 0) {
    splitter_.feed(std::string_view(space_).substr(0, static_cast<std::size_t>(n)));
  } else if (n == 0) {
    file_ended_ = true;
    splitter_.finish();
  } else if (errno == EAGAIN) {
    return false;
  } else if (errno != EINTR) {
    throw UsageError(name_ + ": " + error_text(errno));
  }
  return true;
}

}  // namespace poold::cli
