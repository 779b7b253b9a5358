// retry: runs tasks once more that failed or were cancelled, under their ids.
#include "client/cli/selector_options.hpp"
#include "client/cli/verbs.hpp"

namespace poold::cli {
namespace {

v1::RetryResponse retry_once(Context& context, const v1::RetryRequest& request) {
  v1::RetryResponse response;
  context.call_quietly("poold.v1.Tasks/Retry", request, response);
  return response;
}

// Ids one by one, so that one that cannot be retried is named; conditions in one call, again while there are
// more.
v1::RetryResponse retry_all(Context& context, const SelectorOptions& options) {
  v1::RetryResponse all;
  v1::Selector selector = options.read_some();
  if (options.only_ids()) {
    for (const std::string& id : options.ids) {
      v1::RetryRequest request;
      request.set_id(id);
      all.MergeFrom(retry_once(context, request));
    }
    return all;
  }
  if (selector.states().empty()) {
    selector.add_states(v1::Task::FAILED);
    selector.add_states(v1::Task::CANCELLED);
  }
  v1::RetryRequest request;
  *request.mutable_selector() = std::move(selector);
  v1::RetryResponse response;
  do {
    response = retry_once(context, request);
    all.mutable_ids()->MergeFrom(response.ids());
  } while (response.more() && response.ids_size() > 0);
  all.clear_more();
  return all;
}

int retry(Context& context, const SelectorOptions& options) {
  const v1::RetryResponse response = retry_all(context, options);
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
