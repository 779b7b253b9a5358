// completion: the script with which a shell completes poolctl's words, and, for these scripts, the pools and
// tasks of now.
#include "client/cli/completion_model.hpp"
#include "client/cli/selector_options.hpp"
#include "client/cli/task_text.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"
#include "poold/v1/pools.pb.h"

namespace poold::cli {
namespace {

// Somebody waits with a finger on the key.
constexpr auto patience = std::chrono::seconds(1);
// The newest; nobody looks through more.
constexpr std::uint32_t tasks_max = 200;

// A word and what it is, as zsh and fish show it; bash takes the word.
void print_word(const std::string& word, const std::string& description) {
  print(escaped_line(word) + "\t" + escaped_line(description) + "\n");
}

void print_pools(Connection& connection) {
  v1::ListPoolsResponse response;
  connection.call("poold.v1.Pools/List", v1::ListPoolsRequest(), response);
  for (const v1::Pool& pool : response.pools()) print_word(pool.name(), v1::Pool::State_Name(pool.state()));
}

void print_tasks(Connection& connection, const std::string& which) {
  v1::ListTasksRequest request;
  if (which == "unfinished")
    for (const auto state : {v1::Task::WAITING, v1::Task::QUEUED, v1::Task::RUNNING})
      request.mutable_selector()->add_states(state);
  if (which == "ended")
    for (const auto state : {v1::Task::FAILED, v1::Task::CANCELLED})
      request.mutable_selector()->add_states(state);
  request.set_page_size(tasks_max);
  v1::ListTasksResponse response;
  connection.call("poold.v1.Tasks/List", request, response);
  for (const v1::Task& task : response.tasks())
    print_word(task.id(), state_cell(task).text + " " + task.name());
}

// In the middle of somebody's typing, trouble is no news.
int print_live(Context& context, const std::string& what) {
  try {
    Connection connection(context.socket_path(), patience, patience);
    if (what == "pools")
      print_pools(connection);
    else
      print_tasks(connection, what);
  } catch (const std::exception&) {
    return 0;
  }
  return 0;
}

int completion(Context& context, const CLI::App& app, const std::string& what) {
  if (what == "bash") return print(bash_completion(completion_model(app))), 0;
  if (what == "zsh") return print(zsh_completion(completion_model(app))), 0;
  if (what == "fish") return print(fish_completion(completion_model(app))), 0;
  return print_live(context, what);
}

}  // namespace

void add_completion(CLI::App& app, Context& context) {
  const auto what = std::make_shared<std::string>();
  CLI::App* verb =
      app.add_subcommand("completion", "Print the script that completes poolctl's words in a shell");
  verb->group(group_administration);
  verb->add_option("SHELL", *what,
                   "bash, zsh or fish (pools, tasks, unfinished, ended: what the scripts ask for)")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish", "pools", "tasks", "unfinished", "ended"}));
  verb->callback([&app, &context, what] {
    context.action = [&app, &context, what] { return completion(context, app, *what); };
  });
}

}  // namespace poold::cli
