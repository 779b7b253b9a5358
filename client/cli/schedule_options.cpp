#include "client/cli/schedule_options.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "client/cli/reading.hpp"

namespace poold::cli {
namespace {

template <class Target>
void read_time_option(const char* option, const std::string& text, Target& into) {
  if (text.empty()) return;
  try {
    into = read_duration(text);
  } catch (const UsageError& error) {
    throw UsageError(std::string(option) + " " + text + ": " + error.what());
  }
}

// Of those for which no time at all would mean that nothing may ever run.
void read_some_time_option(const char* option, const std::string& text, std::chrono::nanoseconds& into) {
  read_time_option(option, text, into);
  if (!text.empty() && into == std::chrono::nanoseconds{})
    throw UsageError(std::string(option) + " " + text +
                     ": no time at all (accepted: 500ms, 30s, 2m, 1h, 3d)");
}

Time read_at(const std::string& text) {
  bool is_duration = true;
  try {
    read_duration(text);
  } catch (const UsageError&) {
    is_duration = false;
  }
  if (is_duration)
    throw UsageError("--at " + text +
                     ": a duration (accepted: a time such as 2030-01-31T12:00:00Z; for a duration: --delay)");
  // The clock's nanoseconds end in 2262.
  const bool begins_as_year = !text.empty() && text.front() >= '0' && text.front() <= '9';
  if (begins_as_year && text >= "2262")
    throw UsageError("--at " + text + ": too far ahead (accepted: before 2262)");
  try {
    return read_time(text, std::chrono::system_clock::now());
  } catch (const UsageError&) {
    throw UsageError("--at " + text + ": not a time (accepted: such as 2030-01-31T12:00:00Z)");
  }
}

// "gpu", "db=2", "user:42".
std::pair<std::string, std::uint32_t> read_limit(const std::string& text) {
  const std::size_t equals = text.rfind('=');
  if (equals == text.npos) return {text, 1};
  std::uint32_t tokens = 0;
  const char* begin = text.data() + equals + 1;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(begin, end, tokens);
  if (error != std::errc() || stop != end || tokens == 0 || equals == 0)
    throw UsageError("--limit " + text + ": accepted: NAME, or NAME=N with N tokens, at least 1");
  return {text.substr(0, equals), tokens};
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words;
  std::size_t begin = 0;
  for (std::size_t end; begin <= text.size(); begin = end + 1) {
    end = std::min(text.find(',', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
  }
  return words;
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

}  // namespace

void ScheduleOptions::add_to(CLI::App& verb) {
  const auto repeated = [&](const char* option, std::vector<std::string>& into, const char* text,
                            const char* type) {
    verb.add_option(option, into, text)->allow_extra_args(false)->type_name(type);
  };
  verb.add_option("--delay", delay, "Do not start it before so long from now")->type_name("D");
  verb.add_option("--at", at, "Do not start it before this time (RFC 3339)")->type_name("TIME");
  verb.add_option("--ttl", ttl, "If it has not started by then, it ends as EXPIRED")->type_name("D");
  repeated("--after", after, "Start it when this task has succeeded (may be repeated)", "ID");
  repeated("--after-any", after_any, "Start it when this task has ended, however (may be repeated)", "ID");
  verb.add_option("--on-parent-failure", on_parent_failure,
                  "If a task of --after fails: cancel it too (default), or release it")
      ->type_name("WHAT")
      ->check(CLI::IsMember({"cancel", "release"}));
  verb.add_flag("--hold", hold, "Do not start it before `poolctl release`");
  verb.add_option("--group", group, "Make it one of this group, to be waited for or cancelled together")
      ->type_name("GROUP");
  verb.add_option("--after-group", after_group,
                  "Start it when all tasks of this group have ended; until then the group takes no more")
      ->type_name("GROUP");
  verb.add_option("--when-full", when_full, "Where its pool is full: refuse it (default), or wait for room")
      ->type_name("WHAT")
      ->check(CLI::IsMember({"refuse", "wait"}));
  repeated("--limit", limits, "Take tokens of a named limit while it runs (may be repeated; N: 1)",
           "NAME[=N]");
  verb.add_option("--backoff", backoff, "Wait before the second attempt, doubled with each further one")
      ->type_name("D");
  verb.add_option("--backoff-max", backoff_max, "The longest such wait (default: 1h)")->type_name("D");
  repeated("--retry-on", retry_on,
           "Repeat only these failures: EXITED, RAISED, SIGNALED, TIMED_OUT, OUT_OF_MEMORY, exit codes",
           "KIND|CODE,...");
  verb.add_option("--timeout", timeout, "End an attempt that runs longer; then it is TIMED_OUT")
      ->type_name("D");
  verb.add_option("--grace", grace, "From the request to end to SIGKILL (default: the pool's)")
      ->type_name("D");
  verb.add_option("--deadline", deadline, "End the task, all attempts together, after this time")
      ->type_name("D");
}

void ScheduleOptions::read(SubmitOptions& into) const {
  if (!delay.empty() && !at.empty()) throw UsageError("either --delay or --at");
  read_time_option("--delay", delay, into.delay);
  if (!at.empty()) into.at = read_at(at);
  read_some_time_option("--ttl", ttl, into.time_to_live);
  into.after = after;
  into.after_any = after_any;
  into.release_on_parent_failure = on_parent_failure == "release";
  into.hold = hold;
  into.group = group;
  into.after_group = after_group;
  into.wait_for_room = when_full == "wait";
  for (const std::string& text : limits) {
    auto [name, tokens] = read_limit(text);
    if (!into.limits.emplace(name, tokens).second) throw UsageError("--limit " + name + ": given twice");
  }
  read_time_option("--backoff", backoff, into.backoff);
  read_some_time_option("--backoff-max", backoff_max, into.backoff_max);
  for (const std::string& text : retry_on)
    for (const std::string& word : split(text)) into.retry_on.push_back(upper(word));
  read_some_time_option("--timeout", timeout, into.timeout);
  if (!grace.empty()) read_time_option("--grace", grace, into.grace.emplace());
  read_some_time_option("--deadline", deadline, into.deadline);
}

}  // namespace poold::cli
