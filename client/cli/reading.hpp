// Reading what people write on a command line: durations, times, states, signals, K=V. Each throws UsageError
// naming what is wrong and what is accepted.
#pragma once

#include <chrono>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/cpp/poold/task.hpp"

namespace poold::cli {

// The command line is wrong.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// "500ms", "30s", "1.5s", "2m", "2h", "3d"; a bare number is seconds.
std::chrono::milliseconds read_duration(std::string_view text, std::string_view option = {});
// A duration (so long before `now`), or a time of RFC 3339 such as 2024-05-01T12:00:00Z.
Time read_time(std::string_view text, Time now, std::string_view option = {});
// "queued", "QUEUED", or several with commas.
std::vector<TaskState> read_states(std::string_view text);
// "TERM", "SIGTERM", "term", "15".
int read_signal(std::string_view text);
// "K=V"; `option` is for the message.
std::pair<std::string, std::string> read_pair(std::string_view option, std::string_view text);
// JSON if it parses, else the text itself. An integer that JSON's doubles cannot hold is an error, never
// rounded.
Value read_value(std::string_view text);

// "3s", "4m05s", "2h10m", "3d04h": at most six columns.
std::string short_duration(std::chrono::nanoseconds duration);
// For sheets: "0.213 s" below a minute, then as above.
std::string exact_duration(std::chrono::nanoseconds duration);

// The word of `known` that was probably meant; empty if none is near.
std::string nearest(std::string_view word, std::span<const std::string> known);

}  // namespace poold::cli
