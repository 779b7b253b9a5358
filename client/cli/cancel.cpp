// cancel: asks tasks to end, and waits until they have.
#include "client/cli/selector_options.hpp"
#include "client/cli/verbs.hpp"

namespace poold::cli {
namespace {

struct CancelOptions {
  SelectorOptions selector;
  bool no_wait = false;
};

v1::CancelResponse cancel_once(Context& context, const v1::CancelRequest& request) {
  v1::CancelResponse response;
  context.call_quietly("poold.v1.Tasks/Cancel", request, response);
  return response;
}

// Ids one by one, so that an unknown one is named; conditions in one call, again while there are more.
v1::CancelResponse cancel_all(Context& context, const CancelOptions& options) {
  v1::CancelResponse all;
  v1::Selector selector = options.selector.read_some();
  if (options.selector.only_ids()) {
    for (const std::string& id : options.selector.ids) {
      v1::CancelRequest request;
      request.set_id(id);
      all.MergeFrom(cancel_once(context, request));
    }
    return all;
  }
  v1::CancelRequest request;
  *request.mutable_selector() = std::move(selector);
  v1::CancelResponse response;
  do {
    response = cancel_once(context, request);
    all.mutable_ids()->MergeFrom(response.ids());
    if (!options.no_wait && response.more())
      wait_until_ended(context, {response.ids().begin(), response.ids().end()});
  } while (response.more() && response.ids_size() > 0);
  return all;
}

int cancel(Context& context, const CancelOptions& options) {
  v1::CancelResponse response = cancel_all(context, options);
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
