// The id of a task: a UUIDv7 (RFC 9562, section 5.7), so that ids sort by time of submission in any database
// and any shell.
//
// Its random part holds the task's sequence number, by which the daemon finds the task without an index of
// its own, and a number drawn when the engine started, so that ids of different engines differ. Ids are no
// secret: rights are checked by uid, never by knowing an id.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace poold {

struct TaskId {
  std::uint64_t high = 0;  // 48 bits of milliseconds, version 7, 12 bits of the engine's number
  std::uint64_t low = 0;   // variant 10, 22 bits of the engine's number, 40 bits of sequence

  auto operator<=>(const TaskId&) const = default;
};

// 10^12 tasks: at a million a second, twelve days without a restart would pass the mark of 2^40; the daemon
// then takes a new number.
inline constexpr std::uint64_t sequence_max = (std::uint64_t{1} << 40) - 1;

// `engine` is cut to 34 bits, `unix_ms` to 48. The sequence must be at most sequence_max (asserted).
TaskId make_task_id(std::uint64_t unix_ms, std::uint64_t engine, std::uint64_t sequence);
inline std::uint64_t sequence_of(const TaskId& id) { return id.low & sequence_max; }
inline std::uint64_t unix_ms_of(const TaskId& id) { return id.high >> 16; }

// 36 characters, lower case.
std::string to_string(const TaskId& id);
void append(std::string& out, const TaskId& id);
// Reads what to_string writes, in either case; nothing else.
std::optional<TaskId> parse_task_id(std::string_view text);

}  // namespace poold
