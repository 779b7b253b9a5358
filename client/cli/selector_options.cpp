#include "client/cli/selector_options.hpp"

#include <algorithm>

#include "client/cli/reading.hpp"
#include "client/cpp/src/task_proto.hpp"

namespace poold::cli {
namespace {

constexpr std::uint64_t page_size = 1000;

}  // namespace

void SelectorOptions::add_to(CLI::App& verb, bool with_ids) {
  if (with_ids) verb.add_option("ID", ids, "Ids of tasks");
  verb.add_option("--pool", pools, "Tasks of this pool (may be repeated)")
      ->allow_extra_args(false)
      ->type_name("POOL");
  verb.add_option("--state", states,
                  "Tasks in these states: waiting, queued, running, succeeded, failed, cancelled")
      ->allow_extra_args(false)
      ->type_name("STATE[,STATE]");
  verb.add_option("--name", names, "Tasks of this name (may be repeated)")
      ->allow_extra_args(false)
      ->type_name("NAME");
  verb.add_option("--label", labels, "Tasks with this label (may be repeated: all must match)")
      ->allow_extra_args(false)
      ->type_name("K=V");
  verb.add_option("--group", groups, "Tasks of this group (may be repeated)")
      ->allow_extra_args(false)
      ->type_name("GROUP");
  verb.add_option("--since", since, "Tasks submitted since: 10m (ago), or 2024-05-01T12:00:00Z")
      ->type_name("TIME");
  verb.add_option("--before", before, "Tasks submitted before: 7d (ago), or 2024-05-01T12:00:00Z")
      ->type_name("TIME");
}

bool SelectorOptions::empty() const {
  return ids.empty() && pools.empty() && states.empty() && names.empty() && labels.empty() &&
         groups.empty() && since.empty() && before.empty();
}

bool SelectorOptions::only_ids() const {
  SelectorOptions conditions = *this;
  conditions.ids.clear();
  return !ids.empty() && conditions.empty();
}

bool SelectorOptions::only_a_group() const {
  SelectorOptions conditions = *this;
  conditions.groups.clear();
  return groups.size() == 1 && conditions.empty();
}

v1::Selector SelectorOptions::read() const {
  Selector selector;
  selector.ids = ids;
  selector.pools = pools;
  selector.names = names;
  selector.groups = groups;
  for (const std::string& text : states) {
    const auto some = read_states(text);
    selector.states.insert(selector.states.end(), some.begin(), some.end());
  }
  for (const std::string& text : labels)
    selector.labels.insert_or_assign(read_pair("--label", text).first, read_pair("--label", text).second);
  if (!since.empty()) selector.since = read_time(since, std::chrono::system_clock::now(), "--since");
  v1::Selector proto;
  to_proto(selector, proto);
  if (!before.empty()) to_proto(read_time(before, std::chrono::system_clock::now(), "--before"), *proto.mutable_until());
  return proto;
}

v1::Selector SelectorOptions::read_some() const {
  if (empty())
    throw UsageError(
        "which tasks? Name ids, or --pool, --state, --name, --label, --group, --since, --before");
  return read();
}

void list_pages(Context& context, const v1::Selector& selector, std::uint64_t count_max,
                const PageSink& sink) {
  v1::ListTasksRequest request;
  *request.mutable_selector() = selector;
  v1::ListTasksResponse page;
  std::uint64_t count = 0;
  do {
    request.set_page_size(
        static_cast<std::uint32_t>(count_max == 0 ? page_size : std::min(page_size, count_max - count)));
    request.set_page_token(page.next_page_token());
    context.call_quietly("poold.v1.Tasks/List", request, page);
    count += static_cast<std::uint64_t>(page.tasks_size());
    sink(page);
  } while (!page.next_page_token().empty() && (count_max == 0 || count < count_max));
}

std::vector<std::string> resolve_ids(Context& context, const SelectorOptions& options) {
  const v1::Selector selector = options.read_some();
  if (options.only_ids()) return options.ids;
  std::vector<std::string> ids;
  list_pages(context, selector, 0, [&](const v1::ListTasksResponse& page) {
    for (const v1::Task& task : page.tasks()) ids.push_back(task.id());
  });
  std::reverse(ids.begin(), ids.end());
  return ids;
}

std::vector<v1::Task> wait_until_ended(Context& context, const std::vector<std::string>& ids) {
  std::vector<v1::Task> tasks;
  for (std::size_t begin = 0; begin < ids.size(); begin += wait_ids_max) {
    const std::size_t end = std::min(ids.size(), begin + wait_ids_max);
    v1::WaitRequest request;
    for (std::size_t i = begin; i < end; ++i) request.add_ids(ids[i]);
    v1::WaitResponse response;
    context.connection().call("poold.v1.Tasks/Wait", request, response, no_timeout);
    tasks.insert(tasks.end(), response.tasks().begin(), response.tasks().end());
  }
  return tasks;
}

}  // namespace poold::cli
