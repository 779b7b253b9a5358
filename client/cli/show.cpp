// show: everything about a task, as a sheet.
#include "client/cli/reading.hpp"
#include "client/cli/task_sheet.hpp"
#include "client/cli/task_text.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::cli {
namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

std::string escaped_lines(std::string_view text) {
  TerminalEscaper escaper;
  std::string lines = escaper.escape(text) + escaper.finish();
  while (lines.ends_with('\n')) lines.pop_back();
  return lines;
}

void add_outcome(const v1::Outcome& proto, Lines& lines) {
  const Outcome outcome = from_proto(proto);
  if (outcome.kind == Outcome::Kind::returned) {
    // A call shows only the size of what is in shared memory and does not fit into its answer.
    const std::uint64_t shared = proto.payload().shared_size();
    const std::uint64_t size = outcome.payload && shared == 0 ? outcome.payload->data.size() : shared;
    lines.emplace_back("value", outcome.payload ? std::to_string(size) + " bytes of " +
                                                      escaped_line(outcome.payload->content_type)
                                                : escaped_line(outcome.value.to_json()));
  }
  if (outcome.error) lines.emplace_back("traceback", escaped_lines(outcome.error->traceback));
  if (!outcome.usage) return;
  const Usage& usage = *outcome.usage;
  lines.emplace_back("wall time", exact_duration(usage.wall));
  lines.emplace_back("CPU time",
                     exact_duration(usage.user) + " user, " + exact_duration(usage.system) + " system");
  lines.emplace_back("peak memory", std::to_string(usage.max_rss_kib) + " KiB");
}

void add_command(const v1::Command& command, Lines& lines) {
  lines.emplace_back("directory", escaped_line(command.cwd()));
  std::string env;
  for (const auto& [key, value] :
       std::map<std::string, std::string>(command.env().begin(), command.env().end()))
    env.append(escaped_line(key + "=" + value)).append("\n");
  lines.emplace_back("environment", env);
  if (command.has_stdin()) lines.emplace_back("stdin", std::to_string(command.stdin().size()) + " bytes");
}

std::string joined(const google::protobuf::RepeatedPtrField<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : ", ").append(word);
  return escaped_line(text);
}

std::string limits_text(const v1::TaskSpec& options) {
  std::string text;
  for (const auto& [name, tokens] :
       std::map<std::string, std::uint32_t>(options.limits().begin(), options.limits().end())) {
    text.append(text.empty() ? "" : ", ").append(name);
    if (tokens != 1) text.append("=").append(std::to_string(tokens));
  }
  return escaped_line(text);
}

// What was asked for beyond where it runs and what it is called; nothing where nothing was.
void add_options(const v1::TaskSpec& options, Lines& lines) {
  const auto time = [](bool given, const google::protobuf::Duration& duration) {
    return given ? exact_duration(from_proto(duration)) : std::string();
  };
  const auto count = [](std::uint32_t number) { return number ? std::to_string(number) : std::string(); };
  lines.insert(
      lines.end(),
      {{"attempts at most", count(options.attempts())},
       {"crashes at most", count(options.crash_attempts())},
       {"delay", time(options.has_delay(), options.delay())},
       {"not before", options.has_at() ? stamp_text(options.at()) : ""},
       {"expires after", time(options.has_ttl(), options.ttl())},
       {"after", joined(options.after())},
       {"after any", joined(options.after_any())},
       {"parent fails", options.on_parent_failure() == v1::TaskSpec::RELEASE ? "runs all the same" : ""},
       {"held", options.hold() ? "when it was submitted" : ""},
       {"after group", escaped_line(options.after_group())},
       {"limits", limits_text(options)},
       {"back-off", time(options.has_backoff(), options.backoff())},
       {"back-off at most", time(options.has_backoff_max(), options.backoff_max())},
       {"retry on", joined(options.retry_on())},
       {"time limit", time(options.has_timeout(), options.timeout())},
       {"grace", time(options.has_grace(), options.grace())},
       {"deadline", time(options.has_deadline(), options.deadline())}});
}

std::string placement_text(const v1::Task& task) {
  if (!task.has_placement()) return "";
  const v1::Placement& place = task.placement();
  return "slot " + std::to_string(place.slot()) + ", generation " + std::to_string(place.generation()) +
         ", pid " + std::to_string(place.pid());
}

}  // namespace

std::string task_sheet(const v1::Task& task, const Screen& screen) {
  const Time now = std::chrono::system_clock::now();
  const Cell state = state_cell(task);
  Lines lines = {
      {"id", escaped_line(task.id())},
      {"state", screen.colours ? coloured(state.text, state.colour) : state.text},
      {"outcome", outcome_text(task)},
      {"pool", escaped_line(task.pool())},
      {"name", escaped_line(task.name())},
      {task.has_function() ? "function" : "command", work_text(task)},
  };
  if (task.has_command()) add_command(task.command(), lines);
  lines.insert(lines.end(), {
                                {"attempt", std::to_string(task.attempt())},
                                {"crashes", task.crashes() ? std::to_string(task.crashes()) : ""},
                                {"worker", placement_text(task)},
                                {"priority", task.priority() ? std::to_string(task.priority()) : ""},
                                {"key", escaped_line(task.key())},
                                {"labels", labels_text(task.labels())},
                                {"user id", std::to_string(task.uid())},
                            });
  add_options(task.options(), lines);
  if (task.has_submitted_at()) lines.emplace_back("submitted", time_text(task.submitted_at(), now));
  if (task.has_started_at()) lines.emplace_back("started", time_text(task.started_at(), now));
  if (task.has_ended_at()) lines.emplace_back("ended", time_text(task.ended_at(), now));
  if (task.has_outcome()) add_outcome(task.outcome(), lines);
  return format_sheet(lines);
}

namespace {

int show(Context& context, const std::vector<std::string>& ids) {
  bool first = true;
  for (const std::string& id : ids) {
    v1::GetTaskRequest request;
    request.set_id(id);
    request.set_with_options(context.format() == Format::table);
    v1::GetTaskResponse response;
    context.call("poold.v1.Tasks/Get", request, response);
    if (context.format() == Format::ndjson) print(to_json(response.task()) + "\n");
    if (context.format() == Format::table) {
      if (!std::exchange(first, false)) print("\n");
      print(task_sheet(response.task(), context.screen()));
    }
  }
  return 0;
}

}  // namespace

void add_show(CLI::App& app, Context& context) {
  const auto ids = std::make_shared<std::vector<std::string>>();
  CLI::App* verb = app.add_subcommand("show", "Show everything about tasks")->alias("inspect");
  verb->group(group_tasks);
  verb->add_option("ID", *ids, "Ids of tasks")->required();
  verb->callback([&context, ids] { context.action = [&context, ids] { return show(context, *ids); }; });
}

}  // namespace poold::cli
