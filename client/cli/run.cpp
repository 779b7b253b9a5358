// run: submits, shows the output as it comes, and ends as the task ended. The task ends with its poolctl,
// however that ends.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "client/cli/exit_code.hpp"
#include "client/cli/reading.hpp"
#include "client/cli/session.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"
#include "client/cli/work_options.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "common/version.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::cli {
namespace {

struct RunOptions {
  WorkOptions work;
  bool raw = false;
  std::string reconnect = Reconnection::limit_default;
};

v1::ClientFrame make_request(const Context& context, const TaskSpec& task) {
  v1::ClientFrame request;
  v1::StreamSubmit& submit = *request.mutable_submit();
  submit.set_tag(Session::tag);
  submit.set_want_started(true);  // a Ctrl-C is forwarded only to what runs
  submit.set_want_output(context.format() == Format::table);
  submit.set_want_accepted(true);  // by its id it is found again when the connection breaks
  if (!submit.mutable_task()->ParseFromArray(task.bytes().data(), static_cast<int>(task.bytes().size())))
    throw std::logic_error("a task that was just encoded cannot be read");
  return request;
}

// With --json and -o ndjson the task as it then is takes the place of its output.
void print_task(Context& context, const std::string& id) {
  v1::GetTaskRequest request;
  request.set_id(id);
  v1::GetTaskResponse response;
  context.call("poold.v1.Tasks/Get", request, response);
  if (context.format() == Format::ndjson) print(to_json(response.task()) + "\n");
}

void print_value(Session& session, const Outcome& outcome) {
  if (!outcome.payload) {
    session.printer().print_bytes(STDOUT_FILENO, outcome.value.to_json() + "\n");
  } else if (::isatty(STDOUT_FILENO) == 1) {
    complain("returned " + std::to_string(outcome.payload->data.size()) + " bytes of " +
             outcome.payload->content_type + ", not shown on a terminal");
  } else {
    session.printer().print_bytes(STDOUT_FILENO, outcome.payload->data);
  }
}

// What a shell would say about an ending that the exit code does not tell.
void explain(const Outcome& outcome, std::uint32_t attempt) {
  const bool plain_exit = outcome.kind == Outcome::Kind::exited && !outcome.error;
  // As in a shell: whoever pressed Ctrl-C knows.
  const bool interrupted = outcome.kind == Outcome::Kind::signaled && outcome.signal == SIGINT;
  if (outcome.succeeded() || plain_exit || interrupted) return;
  std::string text = describe(outcome);
  if (outcome.kind == Outcome::Kind::exited)
    text = outcome.error->message.empty() ? outcome.error->type : outcome.error->message;
  if (attempt > 1) text.append(", in attempt ").append(std::to_string(attempt));
  complain(text);
  if (!outcome.error || outcome.error->traceback.empty()) return;
  TerminalEscaper escaper;
  std::string lines = escaper.escape(outcome.error->traceback) + escaper.finish();
  if (!lines.ends_with('\n')) lines.push_back('\n');
  std::fwrite(lines.data(), 1, lines.size(), stderr);
}

int end_of(Context& context, Session& session, const Session::End& end, bool is_function) {
  if (end.reader_gone) return exit_signal_base + SIGPIPE;
  if (!end.ended) return exit_signal_base + end.signal;  // a second signal
  const Outcome outcome = from_proto(end.result.outcome());
  if (context.format() != Format::table)
    print_task(context, end.id);
  else if (outcome.kind == Outcome::Kind::returned)
    print_value(session, outcome);
  const bool by_us = end.signal != 0 && outcome.kind == Outcome::Kind::cancelled;
  if (by_us) return exit_signal_base + end.signal;
  explain(outcome, end.result.attempt());
  return is_function ? exit_code_of_function(outcome) : exit_code_of_command(outcome);
}

int run(Context& context, const RunOptions& options) {
  const bool is_function = context.work.function_mode;
  const TaskSpec task = options.work.read(context.work);
  const v1::ClientFrame request = make_request(context, task);
  ::signal(SIGPIPE, SIG_IGN);  // a vanished reader is told by the write, so that the task can be cancelled
  Session session(
      {.socket_path = context.socket_path(), .cancel_on_close = true, .agent = "poolctl/" POOLD_VERSION},
      {.raw = options.raw,
       .stdout_target = is_function ? STDERR_FILENO : STDOUT_FILENO,
       .forward_interrupt = !is_function,
       .reconnect = read_duration(options.reconnect, "--reconnect")});
  const Session::End end = session.follow(request);
  return end_of(context, session, end, is_function);
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
  const auto options = std::make_shared<RunOptions>();
  CLI::App* verb =
      app.add_subcommand("run", "Run a command or a function, show its output, exit as it exits");
  verb->group(group_tasks);
  options->work.add_to(*verb);
  verb->add_flag("--raw", options->raw, "Do not escape control characters on a terminal");
  verb->add_option("--reconnect", options->reconnect, Reconnection::help)->type_name("DURATION");
  verb->callback(
      [&context, options] { context.action = [&context, options] { return run(context, *options); }; });
}

}  // namespace poold::cli
