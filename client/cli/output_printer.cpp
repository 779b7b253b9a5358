#include "client/cli/output_printer.hpp"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "client/cli/context.hpp"

namespace poold::cli {

OutputPrinter::Target OutputPrinter::make_target(int fd, bool raw) {
  struct stat status {};
  const bool regular = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  return {fd, !raw && ::isatty(fd) == 1, regular, {}};
}

OutputPrinter::OutputPrinter(WaitForRoom wait_for_room, bool raw, int stdout_target)
    : wait_for_room_(std::move(wait_for_room)),
      out_(make_target(STDOUT_FILENO, raw)),
      err_(make_target(STDERR_FILENO, raw)),
      out_to_err_(stdout_target == STDERR_FILENO) {}

bool OutputPrinter::print(const v1::LogChunk& chunk) {
  if (chunk.skipped() > 0) {
    note_gap(chunk.skipped());
    return true;
  }
  Target& target = chunk.stream() == v1::LogChunk::STDERR || out_to_err_ ? err_ : out_;
  return target.escape ? write(target, target.escaper.escape(chunk.data())) : write(target, chunk.data());
}

bool OutputPrinter::print_bytes(int fd, std::string_view bytes) {
  return write(fd == STDERR_FILENO ? err_ : out_, bytes);
}

// The first is told where it is; a command that outruns its log has thousands, of which only the sum is told.
void OutputPrinter::note_gap(std::uint64_t bytes) {
  if (gaps_++ == 0)
    complain(std::to_string(bytes) + " bytes of the output are missing here: its log is full");
  missing_bytes_ += bytes;
}

bool OutputPrinter::finish() {
  if (std::exchange(gaps_, 0) > 1)
    complain(std::to_string(missing_bytes_) + " bytes of the output are missing in all");
  return write(out_, out_.escaper.finish()) && write(err_, err_.escaper.finish());
}

// The descriptor may be shared with other programs, so it is not made non-blocking: one that has room takes
// PIPE_BUF bytes without waiting.
bool OutputPrinter::write(Target& target, std::string_view bytes) {
  while (!bytes.empty()) {
    if (!target.regular && !wait_for_room_(target.fd)) return false;
    const std::size_t size = target.regular ? bytes.size() : std::min<std::size_t>(bytes.size(), PIPE_BUF);
    const ssize_t n = ::write(target.fd, bytes.data(), size);
    if (n >= 0)
      bytes.remove_prefix(static_cast<std::size_t>(n));
    else if (errno != EINTR && errno != EAGAIN)
      return false;
  }
  return true;
}

}  // namespace poold::cli
