// logs: a task's output, stdout on stdout and stderr on stderr; with -f on until the task has ended.
#include <signal.h>
#include <unistd.h>

#include "client/cli/exit_code.hpp"
#include "client/cli/reading.hpp"
#include "client/cli/session.hpp"
#include "client/cli/verbs.hpp"
#include "common/version.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::cli {
namespace {

struct LogsOptions {
  std::string id;
  bool follow = false;
  bool raw = false;
  std::uint32_t attempt = 0;
  std::string reconnect = Reconnection::limit_default;
};

// Nothing but the output is waited for here, so a signal may end poolctl as it likes.
bool always_room(int) { return true; }

int print_logs(Context& context, const LogsOptions& options) {
  OutputPrinter printer(always_room, options.raw, STDOUT_FILENO);
  v1::LogsRequest request;
  request.set_id(options.id);
  request.set_attempt(options.attempt);
  v1::LogsResponse response;
  do {
    request.set_offset(response.next_offset());
    // Stay with the attempt that the first piece came from.
    if (response.attempt() != 0) request.set_attempt(response.attempt());
    context.call("poold.v1.Tasks/Logs", request, response);
    for (const v1::LogChunk& chunk : response.chunks()) {
      if (context.format() == Format::ndjson) print(to_json(chunk) + "\n");
      if (context.format() == Format::table && !printer.print(chunk)) return exit_signal_base + SIGPIPE;
    }
  } while (!response.complete() && response.chunks_size() > 0);
  return printer.finish() ? static_cast<int>(exit_ok) : exit_signal_base + SIGPIPE;
}

int follow_logs(Context& context, const LogsOptions& options) {
  v1::ClientFrame request;
  v1::StreamFollow& follow = *request.mutable_follow();
  follow.set_tag(Session::tag);
  follow.set_id(options.id);
  follow.set_want_output(true);
  follow.set_attempt(options.attempt);
  ::signal(SIGPIPE, SIG_IGN);
  Session session(
      {.socket_path = context.socket_path(), .agent = "poolctl/" POOLD_VERSION},
      {.raw = options.raw, .cancel_on_signal = false, .reconnect = read_duration(options.reconnect, "--reconnect")});
  const Session::End end = session.follow(request);
  if (end.reader_gone) return exit_signal_base + SIGPIPE;
  return end.signal != 0 ? exit_signal_base + end.signal : static_cast<int>(exit_ok);
}

int logs(Context& context, const LogsOptions& options) {
  return options.follow ? follow_logs(context, options) : print_logs(context, options);
}

}  // namespace

void add_logs(CLI::App& app, Context& context) {
  const auto options = std::make_shared<LogsOptions>();
  CLI::App* verb = app.add_subcommand("logs", "Print a task's output")->alias("log");
  verb->group(group_tasks);
  verb->add_option("ID", options->id, "Id of the task")->required();
  verb->add_flag("-f,--follow", options->follow, "Go on until the task has ended");
  verb->add_option("--attempt", options->attempt, "Output of this attempt (default: the last)")
      ->type_name("N");
  verb->add_flag("--raw", options->raw, "Do not escape control characters on a terminal");
  verb->add_option("--reconnect", options->reconnect, Reconnection::help)->type_name("DURATION");
  verb->callback(
      [&context, options] { context.action = [&context, options] { return logs(context, *options); }; });
}

}  // namespace poold::cli
