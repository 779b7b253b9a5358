// hold and release: tasks that do not start for a while, because somebody says so.
#include "client/cli/selected_call.hpp"
#include "client/cli/verbs.hpp"

namespace poold::cli {
namespace {

template <class Request, class Response>
int change(Context& context, const SelectorOptions& options, const char* method, const char* what) {
  const auto all = call_selected<Request, Response>(context, method, options, options.read_some());
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
