// explain: why tasks do not run, one sentence a line, the reason that decided first.
#include "client/cli/reason_text.hpp"
#include "client/cli/task_text.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::cli {
namespace {

// Of a task for which there is no reason not to run.
const char* text_without_reason(v1::Task::State state) {
  if (state == v1::Task::RUNNING) return "it runs";
  return has_ended(task_state(state)) ? "it has ended" : "it will start any moment";
}

int explain(Context& context, const std::vector<std::string>& ids) {
  for (const std::string& id : ids) {
    v1::ExplainRequest request;
    request.set_id(id);
    v1::ExplainResponse response;
    context.call("poold.v1.Tasks/Explain", request, response);
    if (context.format() == Format::ndjson) print(to_json(response) + "\n");
    if (context.format() != Format::table) continue;
    const std::string head = ids.size() > 1 ? escaped_line(id) + ": " : "";
    const std::string state = v1::Task::State_Name(response.state());
    if (response.reasons().empty()) print(head + state + ": " + text_without_reason(response.state()) + "\n");
    for (const auto& reason : response.reasons())
      print(head + state + ": " + reason_text(reason, std::chrono::system_clock::now()) + "\n");
  }
  return 0;
}

}  // namespace

void add_explain(CLI::App& app, Context& context) {
  const auto ids = std::make_shared<std::vector<std::string>>();
  CLI::App* verb = app.add_subcommand("explain", "Say why tasks do not run");
  verb->group(group_tasks);
  verb->add_option("ID", *ids, "Ids of tasks")->required();
  verb->callback([&context, ids] { context.action = [&context, ids] { return explain(context, *ids); }; });
}

}  // namespace poold::cli
