// map: a task for each item, as xargs and GNU parallel do it, in a pool. What runs it is map_run.hpp.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "client/cli/exit_code.hpp"
#include "client/cli/map_run.hpp"
#include "client/cli/reading.hpp"
#include "client/cli/verbs.hpp"
#include "client/cli/work_options.hpp"
#include "client/cpp/src/socket.hpp"
#include "common/version.hpp"
#include "poold/v1/pools.pb.h"

namespace poold::cli {
namespace {

struct MapOptions {
  WorkOptions work;
  std::string arg_file;
  bool null = false;
  bool keep_order = false;
  bool raw = false;
  bool no_progress = false;
  std::size_t jobs = 0;
  std::string halt = "never";
  std::string joblog;
  bool resume = false;
  bool resume_failed = false;
  std::string reconnect = Reconnection::limit_default;
};

void check(const Context& context, const MapOptions& options) {
  if (context.work.items && !options.arg_file.empty())
    throw UsageError("items come after ::: or from --arg-file, not from both");
  if (context.work.items && options.null) throw UsageError("-0 is for items that are read, not for :::");
  if ((options.resume || options.resume_failed) && options.joblog.empty())
    throw UsageError("--resume and --resume-failed need --joblog FILE");
  const bool from_stdin = !context.work.items && (options.arg_file.empty() || options.arg_file == "-");
  if (from_stdin && options.work.stdin_file == "-")
    throw UsageError(
        "--stdin - and the items would both read poolctl's standard input: give the items with "
        "::: or --arg-file");
  if (!options.work.key.empty() && options.work.key.find("{}") == std::string::npos)
    throw UsageError("--key of a map needs a {}, or all its tasks would be the same one");
}

ItemSource open_items(const Context& context, const MapOptions& options, bool count_ahead) {
  if (context.work.items) return ItemSource(*context.work.items);
  const bool from_stdin = options.arg_file.empty() || options.arg_file == "-";
  const std::string name = from_stdin ? "stdin" : "--arg-file " + options.arg_file;
  FileDescriptor file(from_stdin ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                 : ::open(options.arg_file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) throw UsageError(name + ": " + error_text(errno));
  if (::isatty(file.get()) == 1)
    complain("reading items from the terminal, one a line; Ctrl-D ends them (or give them after :::)");
  return ItemSource(std::move(file), name, options.null ? '\0' : '\n', count_ahead);
}

// Asked first, so that a pool that is not there is one error and not one for each item.
v1::Pool pool_named(Context& context, const std::string& pool) {
  v1::PoolRequest request;
  request.set_name(pool.empty() ? "default" : pool);
  v1::PoolResponse response;
  context.call_quietly("poold.v1.Pools/Get", request, response);
  return response.pool();
}

Progress::Kind progress_kind(const Context& context, const MapOptions& options) {
  if (options.no_progress) return Progress::Kind::none;
  return context.stderr_is_terminal() ? Progress::Kind::terminal : Progress::Kind::lines;
}

int map(Context& context, const MapOptions& options) {
  check(context, options);
  const TaskTemplate pattern = options.work.read_template(context.work);
  MapRun::Options run{.jobs = options.jobs,
                      .keep_order = options.keep_order,
                      .raw = options.raw,
                      .as_json = context.format() != Format::table,
                      .halt = read_halt(options.halt),
                      .progress = progress_kind(context, options),
                      .reconnect = read_duration(options.reconnect, "--reconnect")};
  const v1::Pool pool = pool_named(context, options.work.pool);
  run.workers = pool.workers();
  run.durable = pool.durability() == v1::Pool::DISK;
  // What halts early shall not have begun more than can run.
  if (run.jobs == 0 && run.halt.when != Halt::When::never) run.jobs = std::max<std::size_t>(run.workers, 1);
  ItemSource items = open_items(context, options, run.progress == Progress::Kind::terminal);
  std::optional<JobLog> log;
  if (!options.joblog.empty()) {
    using Mode = JobLog::Mode;
    log.emplace(options.joblog, options.resume_failed ? Mode::resume_failed
                                : options.resume      ? Mode::resume
                                                      : Mode::fresh);
  }
  ::signal(SIGPIPE, SIG_IGN);  // a vanished reader is told by the write, so that the tasks can be cancelled
  MapRun map_run(
      {.socket_path = context.socket_path(), .cancel_on_close = true, .agent = "poolctl/" POOLD_VERSION}, run,
      pattern, items, log ? &*log : nullptr);
  return map_run.run();
}

}  // namespace

void add_map(CLI::App& app, Context& context) {
  const auto options = std::make_shared<MapOptions>();
  CLI::App* verb =
      app.add_subcommand("map", "Run a command or a function once for each item; {} stands for the item");
  verb->group(group_tasks);
  options->work.add_to(*verb);
  verb->add_option("-a,--arg-file", options->arg_file,
                   "Read the items from FILE (default: stdin), one a line")
      ->type_name("FILE");
  verb->add_flag("-0,--null", options->null, "Items end with a zero byte, as from find -print0");
  verb->add_option("-j,--jobs", options->jobs, "At most so many in flight (default: enough for the pool)")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}));
  verb->add_flag("-k,--keep-order", options->keep_order, "Print output in the order of the items");
  verb->add_option("--halt", options->halt,
                   "Give up early: soon,fail=N lets end what is in flight, now,fail=N cancels it; also N%, "
                   "success=N, done=N (default: never)")
      ->type_name("RULE");
  verb->add_option("--joblog", options->joblog, "Write a line for each task that ended, as GNU parallel does")
      ->type_name("FILE");
  verb->add_flag("--resume", options->resume, "Do not run again what the joblog has");
  verb->add_flag("--resume-failed", options->resume_failed, "The same, but run again what failed");
  verb->add_option("--reconnect", options->reconnect, Reconnection::help)->type_name("DURATION");
  verb->add_flag("--no-progress", options->no_progress, "Do not show progress on stderr");
  verb->add_flag("--raw", options->raw, "Do not escape control characters on a terminal");
  verb->callback(
      [&context, options] { context.action = [&context, options] { return map(context, *options); }; });
}

}  // namespace poold::cli
