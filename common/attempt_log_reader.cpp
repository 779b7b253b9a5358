#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/attempt_log_format.hpp"

namespace poold {
namespace {

using namespace attempt_log;

// A file with little in it must not keep its reader for long: so many chunks beyond those that the output
// itself fills.
constexpr std::size_t spare_chunks = 8;
// What a piece costs its receiver beside its data; many short ones count accordingly.
constexpr std::size_t piece_cost = 16;

std::uint64_t load_big_endian(const char* bytes, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

// One call of read().
class AttemptLogReader::Scan {
 public:
  Scan(std::uint64_t offset, std::size_t limit) : room_(std::max<std::size_t>(limit, 1)) {
    read_.next_offset = offset;
  }

  enum class After { next_chunk, stop };
  // Takes what the chunk that begins at `start`, of which `bytes` are there, has from next_offset on. Fewer
  // bytes than a chunk: the file's end, where more may appear later.
  After chunk(std::uint64_t start, std::span<const char> bytes);
  void skip_to(std::uint64_t offset);
  Read& result() { return read_; }

 private:
  // Where in the chunk the next record begins, from what is known after this one; 0: the scan ends with it.
  std::size_t record(std::uint64_t start, std::span<const char> bytes, std::size_t at);
  bool take(LogStream stream, std::uint64_t from, std::span<const char> data);
  void skip_count(std::uint64_t count);

  Read read_;
  std::size_t room_;
};

void AttemptLogReader::Scan::skip_count(std::uint64_t count) {
  if (count == 0) return;
  if (read_.pieces.empty() || read_.pieces.back().skipped == 0) read_.pieces.emplace_back();
  std::uint64_t& total = read_.pieces.back().skipped;
  total = total + count < total ? UINT64_MAX : total + count;
}

void AttemptLogReader::Scan::skip_to(std::uint64_t offset) {
  if (offset <= read_.next_offset) return;
  skip_count(offset - read_.next_offset);
  read_.next_offset = offset;
}

// False if the room is used up.
bool AttemptLogReader::Scan::take(LogStream stream, std::uint64_t from, std::span<const char> data) {
  auto& pieces = read_.pieces;
  const std::uint64_t passed = read_.next_offset > from ? read_.next_offset - from : 0;
  if (passed >= data.size()) return true;
  data = data.subspan(passed);
  if (pieces.empty() || pieces.back().skipped > 0 || pieces.back().stream != stream) {
    pieces.push_back({stream, {}, 0});
    room_ -= std::min(room_ - 1, piece_cost);
  }
  const auto taken = data.first(std::min(data.size(), room_));
  pieces.back().data.append(taken.data(), taken.size());
  read_.next_offset = from + passed + taken.size();
  room_ -= taken.size();
  return room_ > 0;
}

std::size_t AttemptLogReader::Scan::record(std::uint64_t start, std::span<const char> bytes, std::size_t at) {
  const auto kind = static_cast<std::uint8_t>(bytes[at]);
  const std::uint64_t size = load_big_endian(&bytes[at + 1], head_size - 1);
  const std::size_t data_at = at + head_size;
  if (kind > mark || size > log_chunk_size - data_at || (kind == mark && size != mark_size)) {
    skip_to(start + bytes.size());  // no record: somebody else wrote this
    return bytes.size();
  }
  const auto data = bytes.subspan(data_at, std::min<std::size_t>(size, bytes.size() - data_at));
  const bool whole = data.size() == size;
  if (kind == mark) {
    if (!whole) return 0;
    if (read_.next_offset <= start + at) skip_count(load_big_endian(data.data(), mark_size));
  } else if (!take(LogStream{kind}, start + data_at, data) || !whole) {
    return 0;
  }
  read_.next_offset = std::max(read_.next_offset, start + data_at + size);
  return data_at + size;
}

AttemptLogReader::Scan::After AttemptLogReader::Scan::chunk(std::uint64_t start,
                                                            std::span<const char> bytes) {
  const bool whole = bytes.size() == log_chunk_size;
  std::size_t at = 0;
  while (at < bytes.size()) {
    if (bytes[at] == padding) {
      if (!whole) return After::stop;
      read_.next_offset = std::max(read_.next_offset, start + log_chunk_size);
      return After::next_chunk;
    }
    if (bytes.size() - at < head_size) {
      if (whole) skip_to(start + log_chunk_size);
      return whole ? After::next_chunk : After::stop;
    }
    at = record(start, bytes, at);
    if (at == 0) return After::stop;
  }
  return whole ? After::next_chunk : After::stop;
}

AttemptLogReader::Read AttemptLogReader::read(std::uint64_t offset, std::size_t limit) {
  Scan scan(offset, limit);
  std::uint64_t& next = scan.result().next_offset;
  struct stat status;
  if (::fstat(file_.get(), &status) < 0) return std::move(scan.result());
  const auto size = static_cast<std::uint64_t>(status.st_size);
  chunk_.resize(log_chunk_size);
  for (std::size_t chunks = limit / log_chunk_size + spare_chunks; chunks > 0 && next < size; --chunks) {
    const std::uint64_t start = chunk_start(next);
    const ssize_t got = ::pread(file_.get(), chunk_.data(), chunk_.size(), static_cast<off_t>(start));
    if (got <= 0) break;
    if (chunk_[0] == padding) {
      // A chunk that begins with padding is a hole; the kernel knows how far it goes.
      const off_t data =
          ::lseek(file_.get(), static_cast<off_t>(start + static_cast<std::uint64_t>(got)), SEEK_DATA);
      scan.skip_to(data >= 0 ? std::max(chunk_start(static_cast<std::uint64_t>(data)),
                                        start + static_cast<std::uint64_t>(got))
                             : size);
      continue;
    }
    if (scan.chunk(start, {chunk_.data(), static_cast<std::size_t>(got)}) == Scan::After::stop) break;
  }
  return std::move(scan.result());
}

}  // namespace poold
