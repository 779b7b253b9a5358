#include "client/cli/job_log.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <functional>
#include <stdexcept>

#include "client/cli/reading.hpp"
#include "client/cpp/src/socket.hpp"

namespace poold::cli {
namespace {

constexpr std::string_view titles =
    "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
constexpr std::size_t run_number_size = 16;  // hexadecimal digits

// Takes what stands before the next tab; nothing if there is no tab.
std::optional<std::string_view> take_column(std::string_view& line) {
  const std::size_t tab = line.find('\t');
  if (tab == std::string_view::npos) return {};
  const std::string_view column = line.substr(0, tab);
  line.remove_prefix(tab + 1);
  return column;
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::uint64_t hash_of(std::string_view line) { return std::hash<std::string_view>{}(line); }

void write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw std::runtime_error(path + ": " + error_text(errno));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

// The number of a run that was killed; empty if there was none.
std::string read_run_number(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[run_number_size + 1];
  if (!file.valid() || ::read(file.get(), text, sizeof text) != sizeof text) return {};
  return {text, run_number_size};
}

void write_run_number(const std::string& path, const std::string& number) {
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file.valid()) throw UsageError(path + ": " + error_text(errno));
  write_all(file.get(), number + "\n", path);
  ::fdatasync(file.get());
}

}  // namespace

std::string random_run_number() {
  unsigned char bytes[run_number_size / 2];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
    throw std::runtime_error("no random numbers: " + error_text(errno));
  std::string text;
  char digits[3];
  for (const unsigned char byte : bytes) {
    std::snprintf(digits, sizeof digits, "%02x", byte);
    text.append(digits);
  }
  return text;
}

std::string map_key(std::string_view run, std::uint64_t seq, std::uint32_t entries, std::uint32_t again) {
  std::string key = "map:";
  key.append(run).append(":").append(std::to_string(seq)).append(":").append(std::to_string(entries));
  return key.append(":").append(std::to_string(again));
}

std::string format_entry(const JobLogEntry& entry) {
  const auto seconds = [](auto duration) { return std::chrono::duration<double>(duration).count(); };
  char numbers[160];
  std::snprintf(numbers, sizeof numbers, "%llu\t:\t%.3f\t%10.3f\t%llu\t%llu\t%d\t%d\t",
                static_cast<unsigned long long>(entry.seq), seconds(entry.start.time_since_epoch()),
                seconds(entry.run_time), static_cast<unsigned long long>(entry.send_bytes),
                static_cast<unsigned long long>(entry.receive_bytes), entry.exit_code, entry.signal);
  return numbers + entry.line + "\n";
}

std::optional<JobLogEntry> parse_entry(std::string_view line) {
  JobLogEntry entry;
  const auto seq = take_column(line);
  if (!seq || !read_number(*seq, entry.seq)) return {};
  for (int column = 0; column < 5; ++column)
    if (!take_column(line)) return {};
  const auto exit_code = take_column(line);
  const auto signal = take_column(line);
  if (!signal || !read_number(*exit_code, entry.exit_code) || !read_number(*signal, entry.signal)) return {};
  entry.line = line;
  return entry;
}

JobLog::JobLog(const std::string& path, Mode mode)
    : path_(path), mode_(mode), file_(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (!file_.valid() && mode == Mode::fresh)  // what can only be written: a pipe, a terminal
    file_ = FileDescriptor(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  struct stat status {};
  if (!file_.valid() || ::fstat(file_.get(), &status) != 0)
    throw UsageError("--joblog " + path + ": " + error_text(errno));
  regular_ = S_ISREG(status.st_mode);
  if (!regular_ && mode != Mode::fresh)
    throw UsageError("--joblog " + path + ": not a regular file, so there is nothing to resume from");
  if (regular_) lock();
  if (mode != Mode::fresh && status.st_size > 0) {
    read_entries();
  } else {
    if (regular_ && ::ftruncate(file_.get(), 0) != 0)
      throw UsageError("--joblog " + path + ": " + error_text(errno));
    write_all(file_.get(), titles, path_);
  }
  begin_run();
}

void JobLog::lock() {
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno == EWOULDBLOCK) throw UsageError("--joblog " + path_ + ": another map writes it");
  throw UsageError("--joblog " + path_ + ": " + error_text(errno));
}

void JobLog::begin_run() {
  if (!regular_) return;
  const std::string run_path = path_ + ".run";
  if (mode_ != Mode::fresh) run_ = read_run_number(run_path);
  recovering_ = !run_.empty();
  if (recovering_) return;
  run_ = random_run_number();
  write_run_number(run_path, run_);
}

// A last line without its end was being written when its map was killed: it is cut off, since its task's key
// knows better.
void JobLog::read_entries() {
  std::string rest;
  std::string space(256 * 1024, '\0');
  off_t whole_size = 0;
  std::uint64_t number = 0;
  for (off_t at = 0;;) {
    const ssize_t n = ::pread(file_.get(), space.data(), space.size(), at);
    if (n < 0) throw UsageError("--joblog " + path_ + ": " + error_text(errno));
    if (n == 0) break;
    at += n;
    rest.append(space, 0, static_cast<std::size_t>(n));
    std::size_t begin = 0;
    for (std::size_t end; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1)
      read_line(std::string_view(rest).substr(begin, end - begin), ++number);
    rest.erase(0, begin);
    whole_size = at - static_cast<off_t>(rest.size());
  }
  if (!rest.empty() && ::ftruncate(file_.get(), whole_size) != 0)
    throw UsageError("--joblog " + path_ + ": " + error_text(errno));
  if (number == 0) write_all(file_.get(), titles, path_);
  std::ranges::stable_sort(seen_, {}, &Seen::seq);
}

void JobLog::read_line(std::string_view line, std::uint64_t number) {
  if (number == 1 && line == titles.substr(0, titles.size() - 1)) return;
  const auto entry = parse_entry(line);
  if (!entry || number == 1)
    throw UsageError("--joblog " + path_ + ":" + std::to_string(number) + ": not a line of a joblog");
  seen_.push_back({entry->seq, hash_of(entry->line), entry->exit_code == 0 && entry->signal == 0});
}

// The last of its entries; none if it has none.
const JobLog::Seen* JobLog::find(std::uint64_t seq) {
  while (cursor_ < seen_.size() && seen_[cursor_].seq < seq) ++cursor_;
  const Seen* last = nullptr;
  entries_ = 0;
  for (; cursor_ < seen_.size() && seen_[cursor_].seq == seq; ++cursor_) {
    last = &seen_[cursor_];
    ++entries_;
  }
  return last;
}

bool JobLog::has(std::uint64_t seq, std::string_view line) {
  const Seen* last = find(seq);
  if (!last) return false;
  if (last->line_hash != hash_of(line))
    throw UsageError("--joblog " + path_ + ": task " + std::to_string(seq) +
                     " was another command there; these are not the same items and command as before");
  return mode_ == Mode::resume || last->succeeded;
}

std::string JobLog::key(std::uint64_t seq, std::uint32_t entries, std::uint32_t again) const {
  return run_.empty() ? std::string() : map_key(run_, seq, entries, again);
}

void JobLog::append(const JobLogEntry& entry) { write_all(file_.get(), format_entry(entry), path_); }

void JobLog::end_run() {
  if (regular_) ::unlink((path_ + ".run").c_str());
}

}  // namespace poold::cli
