// cron: tasks that are submitted again and again.
#include <chrono>

#include "client/cli/reading.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"
#include "client/cli/work_options.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "common/cron.hpp"
#include "poold/v1/schedules.pb.h"

namespace poold::cli {
namespace {

struct CronOptions {
  WorkOptions work;
  std::string time_zone;
  std::string overlap = "skip";
  std::string catch_up = "once";
  std::string jitter;
  bool replace = false;
};

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return text;
}

void check_spec(const Context& context) {
  if (context.spec.empty())
    throw UsageError(
        "when is it to run? Give SPEC before the command, as in: '30 2 * * mon-fri', @daily, 'every 90s'");
  const auto parsed = Recurrence::parse(context.spec);
  if (const auto* error = std::get_if<std::string>(&parsed)) throw UsageError("SPEC " + *error);
}

int cron_add(Context& context, const CronOptions& options) {
  check_spec(context);
  if (options.work.name.empty()) throw UsageError("--name NAME is needed: the schedule's, and its tasks'");
  v1::AddScheduleRequest request;
  v1::Schedule& schedule = *request.mutable_schedule();
  schedule.set_name(options.work.name);
  schedule.set_spec(context.spec);
  schedule.set_time_zone(options.time_zone);
  v1::Schedule::Overlap overlap;
  v1::Schedule::CatchUp catch_up;
  v1::Schedule::Overlap_Parse(upper(options.overlap), &overlap);
  v1::Schedule::CatchUp_Parse(upper(options.catch_up), &catch_up);
  schedule.set_overlap(overlap);
  schedule.set_catch_up(catch_up);
  if (!options.jitter.empty()) {
    try {
      to_proto(read_duration(options.jitter, "--jitter"), *schedule.mutable_jitter());
    } catch (const UsageError& error) {
      throw UsageError("--jitter " + options.jitter + ": " + error.what());
    }
  }
  request.set_replace(options.replace);
  const TaskSpec task = options.work.read(context.work);
  if (!schedule.mutable_task()->ParseFromArray(task.bytes().data(), static_cast<int>(task.bytes().size())))
    throw std::logic_error("a task that was just encoded cannot be read");
  v1::ScheduleResponse response;
  context.call("poold.v1.Schedules/Add", request, response);
  if (context.format() == Format::ndjson) print(to_json(response) + "\n");
  return 0;
}

std::string from_now(bool present, const google::protobuf::Timestamp& at, const char* before,
                     const char* after) {
  if (!present) return "-";
  const auto distance = poold::from_proto(at) - std::chrono::system_clock::now();
  const bool past = distance < distance.zero();
  return before + short_duration(past ? -distance : distance) + after;
}

int cron_ls(Context& context) {
  v1::ListSchedulesResponse response;
  context.call("poold.v1.Schedules/List", v1::ListSchedulesRequest(), response);
  if (context.format() == Format::ndjson)
    for (const v1::Schedule& schedule : response.schedules()) print(to_json(schedule) + "\n");
  if (context.format() != Format::table) return 0;
  Table table({{"NAME", false, true},
               {"SPEC"},
               {"ZONE"},
               {"NEXT"},
               {"LAST"},
               {"RUNS", true},
               {"SKIPPED", true},
               {"MISSED", true},
               {"LAST TASK"},
               {"ERROR", false, true}},
              context.screen());
  std::vector<Row> rows;
  for (const v1::Schedule& schedule : response.schedules())
    rows.push_back({{escaped_line(schedule.name())},
                    {escaped_line(schedule.spec())},
                    {schedule.time_zone().empty() ? "-" : escaped_line(schedule.time_zone())},
                    {from_now(schedule.has_next_at(), schedule.next_at(), "in ", "")},
                    {from_now(schedule.has_last_at(), schedule.last_at(), "", " ago")},
                    {std::to_string(schedule.runs())},
                    {std::to_string(schedule.skipped())},
                    {std::to_string(schedule.missed())},
                    {schedule.last_task_id().empty() ? "-" : schedule.last_task_id()},
                    {escaped_line(schedule.last_error()), Colour::red}});
  print(table.format(rows));
  return 0;
}

int cron_rm(Context& context, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    v1::RemoveScheduleRequest request;
    request.set_name(name);
    v1::RemoveScheduleResponse response;
    context.call("poold.v1.Schedules/Remove", request, response);
  }
  return 0;
}

int cron_run(Context& context, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    v1::RunScheduleRequest request;
    request.set_name(name);
    v1::RunScheduleResponse response;
    context.call("poold.v1.Schedules/Run", request, response);
    if (context.format() == Format::ndjson) print(to_json(response) + "\n");
    if (context.format() == Format::table) print(response.id() + "\n");
  }
  return 0;
}

void add_add(CLI::App& noun, Context& context) {
  const auto options = std::make_shared<CronOptions>();
  CLI::App* add =
      noun.add_subcommand("add", "Submit a task again and again, as SPEC says")->group(group_verbs);
  add->add_option("--time-zone", options->time_zone,
                  "Time zone of the fields (default: the daemon's machine's)")
      ->type_name("ZONE");
  add->add_option("--overlap", options->overlap,
                  "If its last task has not ended: skip (default), queue the next, replace the last")
      ->type_name("WHAT")
      ->check(CLI::IsMember({"skip", "queue", "replace"}));
  add->add_option("--catch-up", options->catch_up,
                  "If times were missed: once for all of them (default), all of them, none")
      ->type_name("WHAT")
      ->check(CLI::IsMember({"once", "all", "none"}));
  add->add_option("--jitter", options->jitter, "Up to so much later, whole seconds")->type_name("D");
  add->add_flag("--replace", options->replace, "Replace a schedule of this name");
  options->work.add_to(*add);
  add->callback(
      [&context, options] { context.action = [&context, options] { return cron_add(context, *options); }; });
}

}  // namespace

void add_cron(CLI::App& app, Context& context) {
  CLI::App* noun = app.add_subcommand("cron", "Tasks that come again and again: add, ls, rm, run");
  noun->group(group_administration);
  noun->require_subcommand(1);
  add_add(*noun, context);
  CLI::App* list =
      noun->add_subcommand("ls", "List schedules, their next and last times")->group(group_verbs);
  list->callback([&context] { context.action = [&context] { return cron_ls(context); }; });

  const auto removed = std::make_shared<std::vector<std::string>>();
  CLI::App* remove = noun->add_subcommand("rm", "Remove schedules; their tasks stay")->group(group_verbs);
  remove->add_option("NAME", *removed, "Names of schedules")->required();
  remove->callback(
      [&context, removed] { context.action = [&context, removed] { return cron_rm(context, *removed); }; });

  const auto run = std::make_shared<std::vector<std::string>>();
  CLI::App* now =
      noun->add_subcommand("run", "Submit a schedule's task now; print its id")->group(group_verbs);
  now->add_option("NAME", *run, "Names of schedules")->required();
  now->callback([&context, run] { context.action = [&context, run] { return cron_run(context, *run); }; });
}

}  // namespace poold::cli
