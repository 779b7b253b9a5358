// Log lines with fields: POOLD_POOL=math, POOLD_TASK_ID=0192f... Where stderr is the systemd journal they are
// entries of their own (`journalctl POOLD_POOL=math`); elsewhere the fields are left out, and the line says
// it in words.
//
// Speaks the journal's native protocol in its own lines; why not by libsystemd stands in service_manager.hpp.
// Which lines are written, and at which level, is decided where they are written.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/seqpacket.hpp"

namespace poold {

inline constexpr std::string_view journal_socket_path = "/run/systemd/journal/socket";
// Longer messages are cut: a datagram must fit a socket's buffer.
inline constexpr std::size_t journal_message_max = 16 * 1024;

// The lines that this thread logs while the object lives are about these. Names are of capital letters,
// digits and _. Objects nest; the fields of all that live are written.
class LogFields {
 public:
  using Field = std::pair<std::string_view, std::string>;
  LogFields(std::initializer_list<Field> fields);
  ~LogFields();
  LogFields(const LogFields&) = delete;
  LogFields& operator=(const LogFields&) = delete;
  static const std::vector<Field>& current();

 private:
  std::size_t count_before_;
};

// A sink for the journal, or for stderr where that is not the journal (JOURNAL_STREAM does not name it, or
// nobody listens). `program` names the lines.
std::shared_ptr<spdlog::sinks::sink> make_log_sink(const std::string& program);

// An entry in the journal's native form.
std::string journal_entry(const std::string& program, spdlog::level::level_enum level,
                          std::string_view message, const std::vector<LogFields::Field>& fields);

}  // namespace poold
