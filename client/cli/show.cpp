// show: everything about a task, as a sheet.
#include "client/cli/reading.hpp"
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
    lines.emplace_back("value", outcome.payload
                                    ? std::to_string(outcome.payload->data.size()) + " bytes of " +
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

std::string placement_text(const v1::Task& task) {
  if (!task.has_placement()) return "";
  const v1::Placement& place = task.placement();
  return "slot " + std::to_string(place.slot()) + ", generation " + std::to_string(place.generation()) +
         ", pid " + std::to_string(place.pid());
}

std::string sheet(const v1::Task& task, const Screen& screen) {
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
  if (task.has_submitted_at()) lines.emplace_back("submitted", time_text(task.submitted_at(), now));
  if (task.has_started_at()) lines.emplace_back("started", time_text(task.started_at(), now));
  if (task.has_ended_at()) lines.emplace_back("ended", time_text(task.ended_at(), now));
  if (task.has_outcome()) add_outcome(task.outcome(), lines);
  return format_sheet(lines);
}

int show(Context& context, const std::vector<std::string>& ids) {
  bool first = true;
  for (const std::string& id : ids) {
    v1::GetTaskRequest request;
    request.set_id(id);
    v1::GetTaskResponse response;
    context.call("poold.v1.Tasks/Get", request, response);
    if (context.format() == Format::ndjson) print(to_json(response.task()) + "\n");
    if (context.format() == Format::table) {
      if (!std::exchange(first, false)) print("\n");
      print(sheet(response.task(), context.screen()));
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
