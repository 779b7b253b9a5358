// prune: has the daemon forget tasks that have ended, with their results and logs.
#include "client/cli/selected_call.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"

namespace poold::cli {
namespace {

struct PruneOptions {
  SelectorOptions selector;
  bool dry_run = false;
};

int prune(Context& context, const PruneOptions& options) {
  constexpr const char* method = "poold.v1.Tasks/Prune";
  const v1::Selector selector = options.selector.read_some();
  v1::PruneRequest request;
  request.set_dry_run(options.dry_run);
  v1::PruneResponse response, all;
  const auto call = [&] {
    context.call_quietly(method, request, response);
    all.set_count(all.count() + response.count());
  };
  if (options.selector.only_ids()) {
    for (const std::string& id : options.selector.ids) {
      request.set_id(id);
      call();
    }
  } else {
    *request.mutable_selector() = selector;
    do call();
    while (response.more());
  }
  if (context.format() != Format::table) {
    print(to_json(all) + "\n");
    return 0;
  }
  const std::string tasks = std::to_string(all.count()) + (all.count() == 1 ? " task" : " tasks");
  print(tasks + (options.dry_run ? " would be forgotten\n" : " forgotten\n"));
  return 0;
}

}  // namespace

void add_prune(CLI::App& app, Context& context) {
  const auto options = std::make_shared<PruneOptions>();
  CLI::App* verb = app.add_subcommand("prune", "Forget tasks that have ended, with their results and logs");
  verb->group(group_tasks);
  options->selector.add_to(*verb);
  verb->add_flag("--dry-run", options->dry_run, "Only say how many");
  verb->callback(
      [&context, options] { context.action = [&context, options] { return prune(context, *options); }; });
}

}  // namespace poold::cli
