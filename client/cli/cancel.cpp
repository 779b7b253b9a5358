// cancel: asks tasks to end, and waits until they have.
#include "client/cli/selected_call.hpp"
#include "client/cli/verbs.hpp"

namespace poold::cli {
namespace {

struct CancelOptions {
  SelectorOptions selector;
  bool no_wait = false;
};

int cancel(Context& context, const CancelOptions& options) {
  const auto wait_for = [&](const v1::CancelResponse& part) {
    if (!options.no_wait) wait_until_ended(context, {part.ids().begin(), part.ids().end()});
  };
  const auto response = call_selected<v1::CancelRequest, v1::CancelResponse>(
      context, "poold.v1.Tasks/Cancel", options.selector, options.selector.read_some(), wait_for);
  std::vector<std::string> ids(response.ids().begin(), response.ids().end());
  if (!options.no_wait) wait_until_ended(context, ids);
  switch (context.format()) {
    case Format::json:
      print(to_json(response) + "\n");
      break;
    case Format::ndjson:
    case Format::table:
      if (context.stderr_is_terminal()) complain("cancelled: " + std::to_string(ids.size()));
      break;
  }
  return 0;
}

}  // namespace

void add_cancel(CLI::App& app, Context& context) {
  const auto options = std::make_shared<CancelOptions>();
  CLI::App* verb = app.add_subcommand("cancel", "Cancel tasks; return when they have ended");
  verb->group(group_tasks);
  options->selector.add_to(*verb);
  verb->add_flag("--no-wait", options->no_wait, "Return at once");
  verb->callback(
      [&context, options] { context.action = [&context, options] { return cancel(context, *options); }; });
}

}  // namespace poold::cli
