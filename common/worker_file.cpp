#include "common/worker_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <vector>

#include "common/invariant.hpp"
#include "common/seqpacket.hpp"

namespace poold {
namespace {

constexpr std::size_t head_size = 1024;
constexpr std::size_t statement_size = 64;
constexpr std::uint64_t pieces_at = 4096;
// All results that one worker may owe, and more than is believed of any file.
constexpr std::uint64_t words_size_max = 256 * 1024 * 1024;
constexpr std::string_view magic = "poold worker 1";
constexpr std::size_t head_lines = 7;

// FNV-1a: against torn writes, not against malice.
std::uint64_t hash_of(std::string_view bytes) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211ULL;
  return hash;
}

bool write_at(int file, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return true;
}

// As much of it as there is.
std::string read_at(int file, std::size_t size, std::uint64_t offset) {
  std::string bytes(size, '\0');
  std::size_t got = 0;
  while (got < size) {
    const ssize_t n = ::pread(file, bytes.data() + got, size - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

std::string read_small(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> text;
  const ssize_t got = file.valid() ? ::read(file.get(), text.data(), text.size()) : 0;
  return {text.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t at; (at = text.find(separator)) != std::string_view::npos; text.remove_prefix(at + 1))
    parts.push_back(text.substr(0, at));
  parts.push_back(text);
  return parts;
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

struct Statement {
  std::uint64_t offset = 0, size = 0, hash = 0;
};

std::optional<Statement> read_statement(int file, unsigned count) {
  const std::string text = read_at(file, statement_size, head_size + count * statement_size);
  Statement statement;
  int used = 0;
  if (std::sscanf(text.c_str(), "said %" SCNu64 " %" SCNu64 " %" SCNx64 "%n", &statement.offset,
                  &statement.size, &statement.hash, &used) != 3 ||
      static_cast<std::size_t>(used) >= text.size() || text[static_cast<std::size_t>(used)] != '\n')
    return std::nullopt;
  return statement;
}

}  // namespace

bool write_head(int file, const WorkerFileHead& head) {
  std::string text(magic);
  for (const std::string& line : {head.pool, std::to_string(head.slot), std::to_string(head.generation),
                                  std::to_string(head.pid), std::to_string(head.start_ticks), head.boot})
    text.append("\n").append(line);
  text += '\n';
  invariant(text.size() <= head_size, "pools have short names");
  text.resize(pieces_at);
  return write_at(file, text, 0);
}

std::optional<WorkerFileHead> read_head(int file) {
  const std::string bytes = read_at(file, head_size, 0);
  const std::vector<std::string_view> lines = split(bytes, '\n');
  if (lines.size() != head_lines + 1 || lines[0] != magic) return std::nullopt;
  WorkerFileHead head;
  head.pool = lines[1];
  head.boot = lines[6];
  const bool good = read_number(lines[2], head.slot) && read_number(lines[3], head.generation) &&
                    read_number(lines[4], head.pid) && read_number(lines[5], head.start_ticks) &&
                    head.pid >= 0 && head.generation > 0 && !head.pool.empty();
  return good ? std::optional(std::move(head)) : std::nullopt;
}

bool write_last_words(int file, unsigned count, std::string_view words) {
  invariant(count < last_words_max, "a worker speaks at most twice");
  std::uint64_t offset = pieces_at;
  if (const auto before = count > 0 ? read_statement(file, count - 1) : std::nullopt)
    offset = before->offset + before->size;
  if (!write_at(file, words, offset) || ::fdatasync(file) < 0) return false;
  std::array<char, statement_size> text{};
  std::snprintf(text.data(), text.size(), "said %" PRIu64 " %zu %" PRIx64 "\n", offset, words.size(),
                hash_of(words));
  return write_at(file, {text.data(), std::strlen(text.data())}, head_size + count * statement_size) &&
         ::fdatasync(file) == 0;
}

std::variant<std::string, NothingSaid, DamagedWords> read_last_words(int file) {
  struct stat status;
  if (::fstat(file, &status) < 0) return DamagedWords{std::strerror(errno)};
  const auto size = static_cast<std::uint64_t>(status.st_size);
  for (unsigned count = last_words_max; count-- > 0;) {
    const auto statement = read_statement(file, count);
    if (!statement) continue;
    const auto [offset, length, hash] = *statement;
    if (offset < pieces_at || offset > size || length > size - offset || length > words_size_max)
      return DamagedWords{"it names bytes that are not there"};
    std::string words = read_at(file, length, offset);
    if (words.size() != length || hash_of(words) != hash)
      return DamagedWords{"its checksum does not fit what was said"};
    return words;
  }
  return NothingSaid{};
}

std::optional<std::uint64_t> start_ticks_of(std::int32_t pid) {
  const std::string text = read_small("/proc/" + std::to_string(pid) + "/stat");
  // The name, in brackets, may hold anything.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos || name_end + 2 > text.size()) return std::nullopt;
  const std::vector<std::string_view> fields = split(std::string_view(text).substr(name_end + 2), ' ');
  constexpr std::size_t start_time = 19;  // counted from the state
  std::uint64_t ticks = 0;
  if (fields.size() <= start_time || !read_number(fields[start_time], ticks)) return std::nullopt;
  return ticks;
}

std::string boot_id() {
  std::string id = read_small("/proc/sys/kernel/random/boot_id");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

}  // namespace poold
