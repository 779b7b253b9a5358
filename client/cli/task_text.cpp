#include "client/cli/task_text.hpp"

#include <ctime>
#include <map>

#include "client/cli/exit_code.hpp"
#include "client/cli/reading.hpp"
#include "client/cli/text.hpp"
#include "client/cpp/src/task_proto.hpp"

namespace poold::cli {
namespace {

Colour colour_of(TaskState state) {
  switch (state) {
    case TaskState::unspecified:
      return Colour::none;
    case TaskState::waiting:
    case TaskState::queued:
      return Colour::none;
    case TaskState::running:
      return Colour::cyan;
    case TaskState::succeeded:
      return Colour::green;
    case TaskState::failed:
      return Colour::red;
    case TaskState::cancelled:
      return Colour::yellow;
  }
  std::abort();
}

// In UTC, with milliseconds.
std::string utc_text(const google::protobuf::Timestamp& stamp, bool for_people) {
  const std::time_t seconds = stamp.seconds();
  std::tm parts{};
  char day[64];
  char text[128];
  ::gmtime_r(&seconds, &parts);
  std::strftime(day, sizeof day, for_people ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text, sizeof text, for_people ? "%s.%03d UTC" : "%s.%03dZ", day, stamp.nanos() / 1'000'000);
  return text;
}

std::string call_text(const Function& function) {
  std::string text = function.name + "(";
  std::string_view separator;
  const auto add = [&](const std::string& argument) {
    text.append(separator).append(argument);
    separator = ", ";
  };
  for (const Value& value : function.args) add(value.to_json());
  for (const auto& [key, value] : function.kwargs) add(key + "=" + value.to_json());
  if (function.payload)
    add(std::to_string(function.payload->data.size()) + " bytes of " + function.payload->content_type);
  return escaped_line(text + ")");
}

}  // namespace

Cell state_cell(const v1::Task& task) {
  const TaskState state = task_state(task.state());
  if (task.cancelling() && !has_ended(state)) return {"CANCELLING", Colour::yellow};
  return state_cell(state);
}

Cell state_cell(TaskState state) { return {std::string(to_string(state)), colour_of(state)}; }

std::string outcome_text(const v1::Task& task) {
  return task.has_outcome() ? escaped_line(describe(from_proto(task.outcome()))) : "";
}

std::string age_text(const v1::Task& task, Time now) {
  return task.has_submitted_at() ? short_duration(now - from_proto(task.submitted_at())) : "";
}

std::string run_time_text(const v1::Task& task, Time now) {
  if (!task.has_started_at()) return "";
  const bool running = task_state(task.state()) == TaskState::running;
  if (!running && !task.has_ended_at()) return "";
  return short_duration((running ? now : from_proto(task.ended_at())) - from_proto(task.started_at()));
}

std::string time_text(const google::protobuf::Timestamp& stamp, Time now) {
  return utc_text(stamp, true) + " (" + short_duration(now - from_proto(stamp)) + " ago)";
}

std::string stamp_text(const google::protobuf::Timestamp& stamp) { return utc_text(stamp, false); }

std::string work_text(const v1::Task& task) {
  if (task.has_command()) return shell_quoted(from_proto(task.command()).argv);
  if (task.has_function()) return call_text(from_proto(task.function()));
  return "";
}

std::string labels_text(const google::protobuf::Map<std::string, std::string>& labels) {
  std::string text;
  for (const auto& [key, value] : std::map<std::string, std::string>(labels.begin(), labels.end())) {
    if (!text.empty()) text.append(", ");
    text.append(key).append("=").append(value);
  }
  return escaped_line(text);
}

int exit_code_of_task(const v1::Task& task) {
  const Outcome outcome = from_proto(task.outcome());
  return task.has_function() ? exit_code_of_function(outcome) : exit_code_of_command(outcome);
}

}  // namespace poold::cli
