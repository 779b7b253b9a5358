// submit: hands a task over and prints its id.
#include "client/cli/reading.hpp"
#include "client/cli/verbs.hpp"
#include "client/cli/work_options.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::cli {
namespace {

int submit(Context& context, const WorkOptions& options) {
  const TaskSpec task = options.read(context.work);
  v1::TaskSpec request;
  if (!request.ParseFromArray(task.bytes().data(), static_cast<int>(task.bytes().size())))
    throw std::logic_error("a task that was just encoded cannot be read");
  v1::SubmitResponse response;
  if (task.waits_for_room())
    context.call("poold.v1.Tasks/Submit", request, response, no_timeout);
  else
    context.call("poold.v1.Tasks/Submit", request, response);
  if (context.format() == Format::ndjson) print(to_json(response) + "\n");
  if (context.format() == Format::table) {
    print(response.id() + "\n");
    if (response.duplicate() && context.stderr_is_terminal())
      complain("this key was known: the earlier task's id");
  }
  return 0;
}

}  // namespace

void add_submit(CLI::App& app, Context& context) {
  const auto options = std::make_shared<WorkOptions>();
  CLI::App* verb =
      app.add_subcommand("submit", "Submit a command or a function call; print its id")->alias("add");
  verb->group(group_tasks);
  options->add_to(*verb);
  verb->callback(
      [&context, options] { context.action = [&context, options] { return submit(context, *options); }; });
}

}  // namespace poold::cli
