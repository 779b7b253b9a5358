#include "daemon/journal/journal.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <mutex>

namespace poold {
namespace {

thread_local std::vector<LogFields::Field> fields_of_thread;

// syslog's numbers, which the journal takes.
int priority(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return 7;
    case spdlog::level::info:
      return 6;
    case spdlog::level::warn:
      return 4;
    case spdlog::level::err:
      return 3;
    case spdlog::level::critical:
      return 2;
    case spdlog::level::off:
    case spdlog::level::n_levels:
      break;
  }
  return 6;
}

void append(std::string& entry, std::string_view name, std::string_view value) {
  entry.append(name);
  if (value.find('\n') == std::string_view::npos) {
    entry.append("=").append(value).append("\n");
    return;
  }
  entry += '\n';
  for (int shift = 0; shift < 64; shift += 8)
    entry += static_cast<char>(static_cast<std::uint64_t>(value.size()) >> shift & 0xff);
  entry.append(value).append("\n");
}

// "device:inode" of what was our stderr when the service manager started us.
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status;
  return stream && ::fstat(STDERR_FILENO, &status) == 0 &&
         stream == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

FileDescriptor connect_journal() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  journal_socket_path.copy(address.sun_path, journal_socket_path.size());
  FileDescriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.valid() &&
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    socket.reset();
  return socket;
}

class JournalSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  JournalSink(std::string program, FileDescriptor socket)
      : program_(std::move(program)), socket_(std::move(socket)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string_view text(message.payload.data(),
                                std::min(message.payload.size(), journal_message_max));
    const std::string entry = journal_entry(program_, message.level, text, LogFields::current());
    if (send(entry)) return;
    // A journal that was started anew has a new socket.
    socket_ = connect_journal();
    if (send(entry)) return;
    const std::string line = std::string(text) + "\n";
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  }
  void flush_() override {}

  bool send(const std::string& entry) {
    ssize_t sent;
    do sent = ::send(socket_.get(), entry.data(), entry.size(), MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
  }

  std::string program_;
  FileDescriptor socket_;
};

}  // namespace

LogFields::LogFields(std::initializer_list<Field> fields) : count_before_(fields_of_thread.size()) {
  fields_of_thread.insert(fields_of_thread.end(), fields);
}

LogFields::~LogFields() { fields_of_thread.resize(count_before_); }

const std::vector<LogFields::Field>& LogFields::current() { return fields_of_thread; }

std::string journal_entry(const std::string& program, spdlog::level::level_enum level,
                          std::string_view message, const std::vector<LogFields::Field>& fields) {
  std::string entry;
  append(entry, "MESSAGE", message);
  append(entry, "PRIORITY", std::to_string(priority(level)));
  append(entry, "SYSLOG_IDENTIFIER", program);
  for (const auto& [name, value] : fields) append(entry, name, value);
  return entry;
}

std::shared_ptr<spdlog::sinks::sink> make_log_sink(const std::string& program) {
  if (stderr_is_journal())
    if (FileDescriptor socket = connect_journal(); socket.valid())
      return std::make_shared<JournalSink>(program, std::move(socket));
  return std::make_shared<spdlog::sinks::stderr_sink_mt>();
}

}  // namespace poold
