// hold and release: tasks that do not start for a while, because somebody says so.
#include "client/cli/selector_options.hpp"
#include "client/cli/verbs.hpp"

namespace poold::cli {
namespace {

// Ids one by one, so that one that cannot be held is named; conditions in one call, again while there are
// more.
template <class Request, class Response>
int change(Context& context, const SelectorOptions& options, const char* method, const char* what) {
  Response all, response;
  Request request;
  if (options.only_ids()) {
    for (const std::string& id : options.ids) {
      request.set_id(id);
      context.call_quietly(method, request, response);
      all.MergeFrom(response);
    }
  } else {
    *request.mutable_selector() = options.read_some();
    do {
      context.call_quietly(method, request, response);
      all.mutable_ids()->MergeFrom(response.ids());
    } while (response.more() && response.ids_size() > 0);
  }
  if (context.format() == Format::json) print(to_json(all) + "\n");
  if (context.format() == Format::table && context.stderr_is_terminal())
    complain(what + std::to_string(all.ids_size()));
  return 0;
}

template <class Request, class Response>
void add(CLI::App& app, Context& context, const char* name, const char* text, const char* method,
         const char* what) {
  const auto options = std::make_shared<SelectorOptions>();
  CLI::App* verb = app.add_subcommand(name, text);
  verb->group(group_tasks);
  options->add_to(*verb);
  verb->callback([&context, options, method, what] {
    context.action = [&context, options, method, what] {
      return change<Request, Response>(context, *options, method, what);
    };
  });
}

}  // namespace

void add_hold(CLI::App& app, Context& context) {
  add<v1::HoldRequest, v1::HoldResponse>(app, context, "hold",
                                         "Keep tasks that have not started from starting",
                                         "poold.v1.Tasks/Hold", "held: ");
}

void add_release(CLI::App& app, Context& context) {
  add<v1::ReleaseRequest, v1::ReleaseResponse>(app, context, "release", "Let held tasks start",
                                               "poold.v1.Tasks/Release", "released: ");
}

}  // namespace poold::cli
