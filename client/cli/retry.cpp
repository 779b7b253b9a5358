// retry: runs tasks once more that failed or were cancelled, under their ids.
#include "client/cli/selected_call.hpp"
#include "client/cli/verbs.hpp"

namespace poold::cli {
namespace {

int retry(Context& context, const SelectorOptions& options) {
  v1::Selector selector = options.read_some();
  if (!options.only_ids() && selector.states().empty()) {
    selector.add_states(v1::Task::FAILED);
    selector.add_states(v1::Task::CANCELLED);
  }
  const auto response = call_selected<v1::RetryRequest, v1::RetryResponse>(context, "poold.v1.Tasks/Retry",
                                                                           options, std::move(selector));
  if (context.format() == Format::json) print(to_json(response) + "\n");
  if (context.format() == Format::table && context.stderr_is_terminal())
    complain("queued again: " + std::to_string(response.ids_size()));
  return 0;
}

}  // namespace

void add_retry(CLI::App& app, Context& context) {
  const auto options = std::make_shared<SelectorOptions>();
  CLI::App* verb = app.add_subcommand("retry", "Run tasks once more that failed or were cancelled");
  verb->group(group_tasks);
  options->add_to(*verb);
  verb->callback(
      [&context, options] { context.action = [&context, options] { return retry(context, *options); }; });
}

}  // namespace poold::cli
