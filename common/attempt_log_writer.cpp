#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/attempt_log_format.hpp"

namespace poold {
namespace {

using namespace attempt_log;

// What one call to the kernel may carry.
constexpr std::size_t piece_max = log_chunk_size;
// Below this the last part would be less than one piece and two chunk boundaries, and giving back whole
// chunks could not keep up.
constexpr std::uint64_t tail_min = 3 * log_chunk_size;
// Kept free for the mark at the end.
constexpr std::uint64_t mark_room = 2 * head_size + mark_size;

// The records of one piece, as they are handed to writev: heads and padding from here, data from where it
// lies.
class Records {
 public:
  Records(std::uint8_t kind, std::span<const char> bytes, std::uint64_t end) : end_(end) {
    while (!bytes.empty()) {
      std::uint64_t room = log_chunk_size - end_ % log_chunk_size;
      if (room <= head_size) {
        add(zeros, room);
        room = log_chunk_size;
      }
      const std::size_t size = std::min<std::size_t>(room - head_size, bytes.size());
      add_head(kind, static_cast<std::uint32_t>(size));
      add(bytes.data(), size);
      bytes = bytes.subspan(size);
    }
  }

  std::uint64_t end() const { return end_; }
  bool write(int file, std::uint64_t offset) const {
    const ssize_t written = ::pwritev(file, parts_.data(), count_, static_cast<off_t>(offset));
    if (written == static_cast<ssize_t>(end_ - offset)) return true;
    if (written >= 0) errno = ENOSPC;
    return false;
  }

 private:
  static constexpr char zeros[head_size] = {};

  void add(const char* data, std::size_t size) {
    parts_[count_++] = {const_cast<char*>(data), size};
    end_ += size;
  }
  void add_head(std::uint8_t kind, std::uint32_t size) {
    auto& head = heads_[heads_count_++];
    head = {static_cast<char>(kind), static_cast<char>(size >> 24), static_cast<char>(size >> 16),
            static_cast<char>(size >> 8), static_cast<char>(size)};
    add(head.data(), head.size());
  }

  std::uint64_t end_;
  // A piece of at most a chunk touches at most three chunks, the last of them for the room that the heads
  // take.
  std::array<std::array<char, head_size>, 3> heads_;
  std::array<iovec, 8> parts_;
  int heads_count_ = 0;
  int count_ = 0;
};

}  // namespace

std::string attempt_log_path(std::string_view directory, std::string_view task_id, std::uint32_t attempt) {
  std::string path;
  const std::string number = std::to_string(attempt);
  path.reserve(directory.size() + task_id.size() + number.size() + 6);
  path.append(directory).append("/").append(task_id).append(".").append(number).append(".log");
  return path;
}

AttemptLogWriter::AttemptLogWriter(std::string path, std::uint64_t size_max)
    : path_(std::move(path)),
      size_max_(size_max - std::min(size_max, mark_room)),
      head_(chunk_start(size_max / 2)) {
  if (size_max_ < head_ + tail_min) head_ = size_max_;
  hole_end_ = head_;
}

bool AttemptLogWriter::open() {
  file_ = FileDescriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file_.valid()) return true;
  error_ = errno;
  full_ = true;
  return false;
}

bool AttemptLogWriter::append(LogStream stream, std::span<const char> bytes) {
  if (bytes.empty()) return false;
  const bool created = !file_.valid() && !full_ && open();
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), piece_max));
    write_piece(static_cast<std::uint8_t>(stream), piece);
    bytes = bytes.subspan(piece.size());
  }
  return created;
}

void AttemptLogWriter::write_piece(std::uint8_t kind, std::span<const char> bytes) {
  if (!full_) {
    const Records records(kind, bytes, end_);
    if (make_room(records.end())) {
      if (records.write(file_.get(), end_)) {
        end_ = records.end();
        return;
      }
      error_ = errno;
      // Half a record would swallow the mark that comes after it.
      if (::ftruncate(file_.get(), static_cast<off_t>(end_)) < 0) error_ = errno;
    }
    full_ = true;
  }
  dropped_ += bytes.size();
}

bool AttemptLogWriter::make_room(std::uint64_t new_end) {
  if (new_end <= size_max_) return true;
  if (head_ == size_max_) return false;
  const std::uint64_t wanted = chunk_start(new_end - (size_max_ - head_) + log_chunk_size - 1);
  if (wanted <= hole_end_) return true;
  if (::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(hole_end_),
                  static_cast<off_t>(wanted - hole_end_)) < 0)
    return false;
  hole_end_ = wanted;
  return true;
}

void AttemptLogWriter::finish() {
  if (file_.valid() && dropped_ > 0) {
    std::array<char, mark_size> count;
    for (std::size_t i = 0; i < count.size(); ++i) count[i] = static_cast<char>(dropped_ >> (56 - 8 * i));
    const Records records(mark, count, end_);
    if (!records.write(file_.get(), end_) && ::ftruncate(file_.get(), static_cast<off_t>(end_)) < 0)
      error_ = errno;
  }
  file_.reset();
  full_ = true;
}

}  // namespace poold
