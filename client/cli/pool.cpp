// pool: the list, the sheet, and what an operator does with pools.
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"

#include "client/cli/task_text.hpp"
#include "poold/v1/pools.pb.h"

namespace poold::cli {
namespace {

struct PoolOptions {
  std::vector<std::string> names;
  std::uint32_t workers = 0;
};

Colour colour_of(v1::Pool::State state) {
  if (state == v1::Pool::READY) return Colour::green;
  if (state == v1::Pool::THROTTLED) return Colour::red;
  return state == v1::Pool::STARTING ? Colour::none : Colour::yellow;
}

Row pool_row(const v1::Pool& pool) {
  return {{escaped_line(pool.name())},        {v1::Pool::State_Name(pool.state()), colour_of(pool.state())},
          {v1::Pool::Kind_Name(pool.kind())}, {std::to_string(pool.workers())},
          {std::to_string(pool.ready())},     {std::to_string(pool.busy())},
          {std::to_string(pool.waiting())},   {std::to_string(pool.queued())},
          {std::to_string(pool.running())},   {std::to_string(pool.succeeded())},
          {std::to_string(pool.failed())},    {std::to_string(pool.cancelled())}};
}

int pool_ls(Context& context) {
  v1::ListPoolsResponse response;
  context.call("poold.v1.Pools/List", v1::ListPoolsRequest(), response);
  if (context.format() == Format::ndjson)
    for (const v1::Pool& pool : response.pools()) print(to_json(pool) + "\n");
  if (context.format() != Format::table) return 0;
  Table table({{"NAME", false, true},
               {"STATE"},
               {"KIND"},
               {"WORKERS", true},
               {"READY", true},
               {"BUSY", true},
               {"WAITING", true},
               {"QUEUED", true},
               {"RUNNING", true},
               {"SUCCEEDED", true},
               {"FAILED", true},
               {"CANCELLED", true}},
              context.screen());
  std::vector<Row> rows;
  for (const v1::Pool& pool : response.pools()) rows.push_back(pool_row(pool));
  print(table.format(rows));
  return 0;
}

// "ENOENT /usr/bin/nosuch: No such file or directory (3 failures in a row)"
std::string start_error_text(const v1::Pool& pool) {
  if (!pool.has_start_error()) return "";
  const v1::StartError& error = pool.start_error();
  std::string text = error.errno_name();
  if (!error.path().empty()) text.append(text.empty() ? "" : " ").append(error.path());
  if (!error.message().empty()) text.append(text.empty() ? "" : ": ").append(error.message());
  return escaped_line(text + " (" + std::to_string(error.failures()) +
                      (error.failures() == 1 ? " failure)" : " failures in a row)"));
}

// Like time_text, for a time that is still to come.
std::string until_text(const v1::Pool& pool) {
  if (!pool.has_throttled_until()) return "";
  std::string text = time_text(pool.throttled_until(), std::chrono::system_clock::now());
  return text.substr(0, text.find(" ("));
}

std::string sheet(const v1::Pool& pool, const Screen& screen) {
  const std::vector<std::string> program(pool.program().begin(), pool.program().end());
  const std::string state = v1::Pool::State_Name(pool.state());
  return format_sheet({
      {"name", escaped_line(pool.name())},
      {"state", screen.colours ? coloured(state, colour_of(pool.state())) : state},
      {"throttled until", until_text(pool)},
      {"start error", start_error_text(pool)},
      {"kind", v1::Pool::Kind_Name(pool.kind())},
      {"durability", v1::Pool::Durability_Name(pool.durability())},
      {"program", shell_quoted(program)},
      {"workers", std::to_string(pool.workers()) + " (" + std::to_string(pool.ready()) + " ready, " +
                      std::to_string(pool.busy()) + " busy)"},
      {"tasks", std::to_string(pool.queued()) + " queued, " + std::to_string(pool.waiting()) + " waiting, " +
                    std::to_string(pool.running()) + " running"},
      {"queue size", std::to_string(pool.queue_size())},
      {"ended", std::to_string(pool.succeeded()) + " succeeded, " + std::to_string(pool.failed()) +
                    " failed, " + std::to_string(pool.cancelled()) + " cancelled"},
      {"refused", std::to_string(pool.refused())},
      {"workers lost", std::to_string(pool.workers_lost())},
  });
}

// The calls that take a pool's name and answer with the pool. `quiet`: it is no question, so nothing is
// printed.
int call_pools(Context& context, const std::string& method, const PoolOptions& options, bool quiet) {
  bool first = true;
  for (const std::string& name : options.names) {
    v1::PoolRequest request;
    request.set_name(name);
    v1::PoolResponse response;
    context.call(method, request, response);
    if (context.format() == Format::ndjson) print(to_json(response.pool()) + "\n");
    if (quiet || context.format() != Format::table) continue;
    if (!std::exchange(first, false)) print("\n");
    print(sheet(response.pool(), context.screen()));
  }
  return 0;
}

int pool_scale(Context& context, const PoolOptions& options) {
  v1::ScalePoolRequest request;
  request.set_name(options.names.front());
  request.set_workers(options.workers);
  v1::PoolResponse response;
  context.call("poold.v1.Pools/Scale", request, response);
  if (context.format() == Format::ndjson) print(to_json(response.pool()) + "\n");
  return 0;
}

void add_call(CLI::App& noun, Context& context, const char* name, const char* method, const char* text,
              bool quiet) {
  const auto options = std::make_shared<PoolOptions>();
  CLI::App* verb = noun.add_subcommand(name, text)->group(group_verbs);
  verb->add_option("POOL", options->names, "Names of pools")->required();
  verb->callback([&context, options, method, quiet] {
    context.action = [&context, options, method, quiet] {
      return call_pools(context, std::string("poold.v1.Pools/") + method, *options, quiet);
    };
  });
}

}  // namespace

void add_pool(CLI::App& app, Context& context) {
  CLI::App* noun =
      app.add_subcommand("pool", "Pools: ls, show, scale, pause, resume, drain, recycle, create, rm");
  noun->group(group_administration);
  noun->require_subcommand(1);
  CLI::App* list = noun->add_subcommand("ls", "List pools")->group(group_verbs);
  list->callback([&context] { context.action = [&context] { return pool_ls(context); }; });
  add_call(*noun, context, "show", "Get", "Show everything about pools", false);

  const auto scaled = std::make_shared<PoolOptions>();
  CLI::App* scale = noun->add_subcommand("scale", "Change a pool's number of workers until the next reload")
                        ->group(group_verbs);
  scaled->names.resize(1);
  scale->add_option("POOL", scaled->names.front(), "Name of the pool")->required();
  scale->add_option("WORKERS", scaled->workers, "How many, 0 to 1000")->required();
  scale->callback(
      [&context, scaled] { context.action = [&context, scaled] { return pool_scale(context, *scaled); }; });

  add_call(*noun, context, "pause", "Pause", "Start no more tasks; running ones go on", true);
  add_call(*noun, context, "resume", "Resume", "End a pause or a drain", true);
  add_call(*noun, context, "drain", "Drain", "Accept no more tasks; accepted ones still run", true);
  add_call(*noun, context, "recycle", "Recycle", "Replace the workers one by one, each when it is idle",
           true);
  add_pool_create(*noun, context);
}

}  // namespace poold::cli
