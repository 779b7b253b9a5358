// worker ls: one row a slot.
#include "poold/v1/workers.pb.h"

#include "client/cli/reading.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"
#include "client/cpp/src/task_proto.hpp"

namespace poold::cli {
namespace {

Row worker_row(const v1::Worker& worker, Time now) {
  const bool vacant = worker.pid() == 0;
  return {{escaped_line(worker.pool())},
          {std::to_string(worker.slot())},
          {std::to_string(worker.generation())},
          {vacant ? "-" : std::to_string(worker.pid())},
          {v1::Worker::State_Name(worker.state()),
           worker.state() == v1::Worker::BUSY ? Colour::cyan : Colour::none},
          {escaped_line(worker.task_id())},
          {std::to_string(worker.held())},
          {std::to_string(worker.finished())},
          {worker.has_started_at() ? short_duration(now - from_proto(worker.started_at())) : ""}};
}

int worker_ls(Context& context, const std::string& pool) {
  v1::ListWorkersRequest request;
  request.set_pool(pool);
  v1::ListWorkersResponse response;
  context.call("poold.v1.Workers/List", request, response);
  if (context.format() == Format::ndjson)
    for (const v1::Worker& worker : response.workers()) print(to_json(worker) + "\n");
  if (context.format() != Format::table) return 0;
  Table table({{"POOL", false, true},
               {"SLOT", true},
               {"GENERATION", true},
               {"PID", true},
               {"STATE"},
               {"TASK"},
               {"HELD", true},
               {"FINISHED", true},
               {"AGE", true}},
              context.screen());
  const Time now = std::chrono::system_clock::now();
  std::vector<Row> rows;
  for (const v1::Worker& worker : response.workers()) rows.push_back(worker_row(worker, now));
  print(table.format(rows));
  return 0;
}

}  // namespace

void add_worker(CLI::App& app, Context& context) {
  CLI::App* noun = app.add_subcommand("worker", "Workers: ls")->group(group_administration);
  noun->require_subcommand(1);
  const auto pool = std::make_shared<std::string>();
  CLI::App* verb = noun->add_subcommand("ls", "List worker slots")->group(group_verbs);
  verb->add_option("--pool", *pool, "Only this pool's")->type_name("POOL");
  verb->callback(
      [&context, pool] { context.action = [&context, pool] { return worker_ls(context, *pool); }; });
}

}  // namespace poold::cli
