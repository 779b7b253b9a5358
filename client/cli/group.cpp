// group: tasks under one name, by state.
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::cli {
namespace {

constexpr std::uint32_t page_size = 1000;

v1::ListGroupsResponse all_groups(Context& context, const std::vector<std::string>& names) {
  v1::ListGroupsRequest request;
  for (const std::string& name : names) request.add_names(name);
  request.set_page_size(page_size);
  v1::ListGroupsResponse all, page;
  do {
    request.set_page_token(page.next_page_token());
    context.call_quietly("poold.v1.Tasks/ListGroups", request, page);
    all.mutable_groups()->MergeFrom(page.groups());
  } while (!page.next_page_token().empty());
  return all;
}

int group_ls(Context& context, const std::vector<std::string>& names) {
  const v1::ListGroupsResponse response = all_groups(context, names);
  if (context.format() == Format::json) print(to_json(response) + "\n");
  if (context.format() == Format::ndjson)
    for (const v1::Group& group : response.groups()) print(to_json(group) + "\n");
  if (context.format() != Format::table) return 0;
  Table table({{"NAME", false, true},
               {"UID", true},
               {"WAITING", true},
               {"QUEUED", true},
               {"RUNNING", true},
               {"SUCCEEDED", true},
               {"FAILED", true},
               {"CANCELLED", true},
               {"CLOSED"}},
              context.screen());
  std::vector<Row> rows;
  for (const v1::Group& group : response.groups())
    rows.push_back({{escaped_line(group.name())},
                    {std::to_string(group.uid())},
                    {std::to_string(group.waiting())},
                    {std::to_string(group.queued())},
                    {std::to_string(group.running())},
                    {std::to_string(group.succeeded())},
                    {std::to_string(group.failed())},
                    {std::to_string(group.cancelled())},
                    {group.closed() ? "yes" : "no"}});
  print(table.format(rows));
  return 0;
}

}  // namespace

void add_group(CLI::App& app, Context& context) {
  CLI::App* noun = app.add_subcommand("group", "Groups of tasks: ls");
  noun->group(group_administration);
  noun->require_subcommand(1);
  const auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* list = noun->add_subcommand("ls", "List groups, with their tasks by state")->group(group_verbs);
  list->add_option("NAME", *names, "Names of groups; otherwise all");
  list->callback(
      [&context, names] { context.action = [&context, names] { return group_ls(context, *names); }; });
}

}  // namespace poold::cli
