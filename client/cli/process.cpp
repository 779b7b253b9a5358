// process: dedicated processes, each a task with a worker of its own.
#include "client/cli/exit_code.hpp"
#include "client/cli/reading.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"
#include "client/cli/work_options.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "poold/v1/processes.pb.h"

namespace poold::cli {
namespace {

struct ListOptions {
  std::string pool;
  bool ended = false;
};
struct JoinOptions {
  std::string id, timeout;
};
struct KillOptions {
  std::vector<std::string> ids;
  std::string signal = "TERM";
};

int start(Context& context, const WorkOptions& options) {
  const TaskSpec task = options.read(context.work);
  v1::StartProcessRequest request;
  if (!request.mutable_task()->ParseFromArray(task.bytes().data(), static_cast<int>(task.bytes().size())))
    throw std::logic_error("a task that was just encoded cannot be read");
  v1::StartProcessResponse response;
  context.call("poold.v1.Processes/Start", request, response);
  if (context.format() == Format::ndjson) print(to_json(response.process()) + "\n");
  if (context.format() == Format::table) print(response.process().id() + "\n");
  return 0;
}

Row row(const v1::Process& process, Time now) {
  const bool ended = process.has_exit_code();
  return {{process.id()},
          {escaped_line(process.name())},
          {escaped_line(process.pool())},
          {process.pid() == 0 ? "-" : std::to_string(process.pid())},
          {v1::Task::State_Name(process.state())},
          {ended ? std::to_string(process.exit_code()) : "-"},
          {process.daemon() ? "yes" : "no"},
          {process.has_started_at() ? short_duration((ended ? from_proto(process.ended_at()) : now) -
                                                     from_proto(process.started_at()))
                                    : "-"}};
}

int ls(Context& context, const ListOptions& options) {
  v1::ListProcessesRequest request;
  request.set_pool(options.pool);
  request.set_ended(options.ended);
  v1::ListProcessesResponse response;
  context.call("poold.v1.Processes/List", request, response);
  if (context.format() == Format::ndjson)
    for (const v1::Process& process : response.processes()) print(to_json(process) + "\n");
  if (context.format() != Format::table) return 0;
  Table table({{"ID"},
               {"NAME", false, true},
               {"POOL", false, true},
               {"PID", true},
               {"STATE"},
               {"EXIT", true},
               {"DAEMON"},
               {"TIME", true}},
              context.screen());
  std::vector<Row> rows;
  const Time now = std::chrono::system_clock::now();
  for (const v1::Process& process : response.processes()) rows.push_back(row(process, now));
  print(table.format(rows));
  return 0;
}

// Ends as the process did: its code, or 128 and the signal; 124 if it goes on.
int join(Context& context, const JoinOptions& options) {
  v1::JoinProcessRequest request;
  request.set_id(options.id);
  auto answer_timeout = no_timeout;
  if (!options.timeout.empty()) {
    const auto timeout = read_duration(options.timeout, "--timeout");
    to_proto(timeout, *request.mutable_timeout());
    answer_timeout = timeout + context.connection().answer_timeout();
  }
  v1::JoinProcessResponse response;
  context.call("poold.v1.Processes/Join", request, response, answer_timeout);
  const v1::Process& process = response.process();
  if (context.format() == Format::ndjson) print(to_json(process) + "\n");
  if (!process.has_exit_code()) return exit_timed_out;
  const Outcome outcome = from_proto(process.outcome());
  if (context.format() == Format::table && process.exit_code() != 0)
    complain(process.id() + ": " + describe(outcome));
  return process.exit_code() < 0 ? exit_signal_base - process.exit_code() : process.exit_code();
}

int kill(Context& context, const KillOptions& options) {
  const auto signal = static_cast<std::uint32_t>(read_signal(options.signal));
  for (const std::string& id : options.ids) {
    v1::KillProcessRequest request;
    request.set_id(id);
    request.set_signal(signal);
    v1::KillProcessResponse response;
    context.call("poold.v1.Processes/Kill", request, response);
  }
  return 0;
}

}  // namespace

void add_process(CLI::App& app, Context& context) {
  CLI::App* noun =
      app.add_subcommand("process", "Processes of their own, outside the slots: start, ls, join, kill");
  noun->group(group_administration);
  noun->require_subcommand(1);

  const auto work = std::make_shared<WorkOptions>();
  CLI::App* verb =
      noun->add_subcommand("start", "Start a command or a function in a process of its own; print its id");
  verb->group(group_verbs);
  work->add_to(*verb);
  verb->callback([&context, work] { context.action = [&context, work] { return start(context, *work); }; });

  const auto listed = std::make_shared<ListOptions>();
  CLI::App* list = noun->add_subcommand("ls", "List processes")->group(group_verbs);
  list->add_option("--pool", listed->pool, "Only this pool's")->type_name("POOL");
  list->add_flag("--ended", listed->ended, "Those that have ended, too");
  list->callback(
      [&context, listed] { context.action = [&context, listed] { return ls(context, *listed); }; });

  const auto joined = std::make_shared<JoinOptions>();
  CLI::App* wait = noun->add_subcommand("join", "Wait for a process and exit as it did")->group(group_verbs);
  wait->add_option("ID", joined->id, "Id of the process")->required();
  wait->add_option("--timeout", joined->timeout, "Wait at most so long, then exit with 124")
      ->type_name("DURATION");
  wait->callback(
      [&context, joined] { context.action = [&context, joined] { return join(context, *joined); }; });

  const auto killed = std::make_shared<KillOptions>();
  CLI::App* signal = noun->add_subcommand("kill", "Send a signal to processes")->group(group_verbs);
  signal->add_option("ID", killed->ids, "Ids of processes")->required();
  signal->add_option("-s,--signal", killed->signal, "Name or number (default: TERM)")->type_name("SIGNAL");
  signal->callback(
      [&context, killed] { context.action = [&context, killed] { return kill(context, *killed); }; });
}

}  // namespace poold::cli
