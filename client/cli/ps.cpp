// ps: the list of tasks. Unfinished ones, unless a state, or --all, asks for more.
#include "client/cli/selector_options.hpp"
#include "client/cli/task_text.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"

namespace poold::cli {
namespace {

struct PsOptions {
  SelectorOptions selector;
  bool all = false;
  std::uint64_t limit = 0;
};

v1::Selector read_selector(const PsOptions& options) {
  v1::Selector selector = options.selector.read();
  // Somebody who names ids or states knows which ones are meant.
  if (!options.all && selector.states().empty() && selector.ids().empty()) {
    for (const auto state : {v1::Task::WAITING, v1::Task::QUEUED, v1::Task::RUNNING})
      selector.add_states(state);
  }
  return selector;
}

Row task_row(const v1::Task& task, Time now) {
  return {{escaped_line(task.id())},        state_cell(task),
          {escaped_line(task.pool())},      {escaped_line(task.name())},
          {std::to_string(task.attempt())}, {age_text(task, now)},
          {run_time_text(task, now)},       {outcome_text(task)}};
}

void print_table(Context& context, const PsOptions& options) {
  Table table({{"ID"},
               {"STATE"},
               {"POOL", false, true},
               {"NAME", false, true},
               {"ATTEMPT", true},
               {"AGE", true},
               {"TIME", true},
               {"OUTCOME", false, true}},
              context.screen());
  const Time now = std::chrono::system_clock::now();
  list_pages(context, read_selector(options), options.limit, [&](const v1::ListTasksResponse& page) {
    std::vector<Row> rows;
    for (const v1::Task& task : page.tasks()) rows.push_back(task_row(task, now));
    print(table.format(rows));
  });
}

void print_json(Context& context, const PsOptions& options) {
  v1::ListTasksResponse all;
  list_pages(context, read_selector(options), options.limit, [&](const v1::ListTasksResponse& page) {
    all.mutable_tasks()->MergeFrom(page.tasks());
    all.set_next_page_token(page.next_page_token());
  });
  print(to_json(all) + "\n");
}

int ps(Context& context, const PsOptions& options) {
  switch (context.format()) {
    case Format::table:
      print_table(context, options);
      break;
    case Format::json:
      print_json(context, options);
      break;
    case Format::ndjson:
      list_pages(context, read_selector(options), options.limit, [](const v1::ListTasksResponse& page) {
        for (const v1::Task& task : page.tasks()) print(to_json(task) + "\n");
      });
      break;
  }
  return 0;
}

}  // namespace

void add_ps(CLI::App& app, Context& context) {
  const auto options = std::make_shared<PsOptions>();
  CLI::App* verb = app.add_subcommand("ps", "List tasks that have not ended")->alias("ls");
  verb->group(group_tasks);
  options->selector.add_to(*verb);
  verb->add_flag("-a,--all", options->all, "Ended tasks too");
  verb->add_option("-n,--limit", options->limit, "At most so many, the newest")->type_name("N");
  verb->callback(
      [&context, options] { context.action = [&context, options] { return ps(context, *options); }; });
}

}  // namespace poold::cli
