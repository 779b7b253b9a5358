#include "client/cli/output_shelf.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

#include "client/cpp/src/socket.hpp"

namespace poold::cli {
namespace {

// Small pieces of one stream become one, up to this size.
constexpr std::size_t merged_size_max = 64 * 1024;

std::string temporary_directory() {
  const char* chosen = std::getenv("TMPDIR");
  return chosen && *chosen ? chosen : "/tmp";
}

[[noreturn]] void fail(const std::string& directory) {
  throw std::runtime_error("cannot keep output in " + directory + ": " + error_text(errno));
}

FileDescriptor open_nameless(const std::string& directory) {
  FileDescriptor file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.valid()) return file;
  std::string name = directory + "/poolctl-XXXXXX";  // a file system without O_TMPFILE
  file = FileDescriptor(::mkostemp(name.data(), O_CLOEXEC));
  if (!file.valid()) fail(directory);
  ::unlink(name.c_str());
  return file;
}

}  // namespace

void OutputShelf::add(Output& output, v1::LogChunk::Stream stream, std::string_view bytes) {
  v1::LogChunk chunk;
  chunk.set_stream(stream);
  chunk.set_data(bytes.data(), bytes.size());
  add(output, std::move(chunk));
}

void OutputShelf::add(Output& output, v1::LogChunk&& chunk) {
  const std::size_t size = chunk.data().size();
  output.bytes += size;
  if (!output.pieces.empty() && chunk.skipped() == 0) {
    Piece& last = output.pieces.back();
    const bool whole = last.file_size == 0 && last.chunk.skipped() == 0;
    if (whole && last.chunk.stream() == chunk.stream() &&
        last.chunk.data().size() + size <= merged_size_max && memory_bytes_ + size <= memory_max_) {
      last.chunk.mutable_data()->append(chunk.data());
      memory_bytes_ += size;
      return;
    }
  }
  output.pieces.push_back({std::move(chunk)});
  memory_bytes_ += size;
  if (memory_bytes_ > memory_max_) put_away(output.pieces.back());
}

void OutputShelf::put_away(Piece& piece) {
  const std::string directory = temporary_directory();
  if (!file_.valid()) file_ = open_nameless(directory);
  piece.offset = file_end_;
  piece.file_size = piece.chunk.data().size();
  for (std::string_view rest = piece.chunk.data(); !rest.empty();) {
    const ssize_t n = ::pwrite(file_.get(), rest.data(), rest.size(), file_end_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(directory);
    rest.remove_prefix(static_cast<std::size_t>(n));
    file_end_ += n;
  }
  file_bytes_ += piece.file_size;
  memory_bytes_ -= piece.file_size;
  piece.chunk.mutable_data()->clear();
  piece.chunk.mutable_data()->shrink_to_fit();
}

void OutputShelf::bring_back(Piece& piece) {
  if (piece.file_size == 0) return;
  std::string& data = *piece.chunk.mutable_data();
  data.resize(piece.file_size);
  for (std::size_t have = 0; have < data.size();) {
    const ssize_t n =
        ::pread(file_.get(), data.data() + have, data.size() - have, piece.offset + static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(temporary_directory());
    have += static_cast<std::size_t>(n);
  }
}

// Gives the piece's room back, in memory or on the disk.
void OutputShelf::let_go(Piece& piece) {
  if (piece.file_size == 0) {
    memory_bytes_ -= piece.chunk.data().size();
    return;
  }
  file_bytes_ -= piece.file_size;
  if (file_bytes_ == 0) {
    file_end_ = 0;
    if (::ftruncate(file_.get(), 0) != 0) fail(temporary_directory());
  } else {  // best effort: a file system without holes keeps the room until all is printed
    ::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, piece.offset,
                static_cast<off_t>(piece.file_size));
  }
}

bool OutputShelf::take(Output& output, const Sink& sink) {
  bool wanted = true;
  for (Piece& piece : output.pieces) {
    if (wanted) {
      bring_back(piece);
      wanted = sink(piece.chunk);
    }
    let_go(piece);
  }
  output = {};
  return wanted;
}

void OutputShelf::drop(Output& output) {
  for (Piece& piece : output.pieces) let_go(piece);
  output = {};
}

}  // namespace poold::cli
