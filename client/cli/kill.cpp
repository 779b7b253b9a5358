// kill: a signal for running commands. Their workers deliver it; nothing is decided by it: what the command
// makes of it is its outcome.
#include "client/cli/reading.hpp"
#include "client/cli/selector_options.hpp"
#include "client/cli/verbs.hpp"

namespace poold::cli {
namespace {

struct KillOptions {
  SelectorOptions selector;
  std::string signal = "TERM";
};

int kill(Context& context, const KillOptions& options) {
  const int number = read_signal(options.signal);
  KillOptions wanted = options;
  const bool by_condition = wanted.selector.ids.empty();
  if (by_condition && !wanted.selector.empty() && wanted.selector.states.empty())
    wanted.selector.states = {"running"};
  for (const std::string& id : resolve_ids(context, wanted.selector)) {
    v1::SignalRequest request;
    request.set_id(id);
    request.set_signal(static_cast<std::uint32_t>(number));
    v1::SignalResponse response;
    context.call("poold.v1.Tasks/Signal", request, response);
  }
  return 0;
}

}  // namespace

void add_kill(CLI::App& app, Context& context) {
  const auto options = std::make_shared<KillOptions>();
  CLI::App* verb = app.add_subcommand("kill", "Send a signal to running commands");
  verb->group(group_tasks);
  options->selector.add_to(*verb);
  verb->add_option("-s,--signal", options->signal, "Signal, by name or number (default: TERM)")
      ->type_name("SIGNAL");
  verb->callback(
      [&context, options] { context.action = [&context, options] { return kill(context, *options); }; });
}

}  // namespace poold::cli
