// events: a line for every change of a task's state, as it happens. The daemon keeps no history of changes;
// --since begins with the ends of the tasks that it still knows.
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "client/cli/reading.hpp"
#include "client/cli/selector_options.hpp"
#include "client/cli/task_text.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"
#include "client/cpp/poold/error.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "poold/v1/events.pb.h"

namespace poold::cli {
namespace {

using google::protobuf::util::TimeUtil;

// As wide as the widest state, and a pool's usual name.
constexpr std::size_t state_width = 9;
constexpr std::size_t pool_width = 12;
// An event and its task's end are of the same turn of the daemon, which may read its clock twice.
constexpr auto clock_slack = std::chrono::milliseconds(10);

struct EventsOptions {
  std::vector<std::string> pools;
  std::vector<std::string> states;
  std::string since;
};

class EventPrinter {
 public:
  EventPrinter(const Context& context, const EventsOptions& options)
      : lines_(context.format() == Format::table), colours_(context.colours()), pools_(options.pools) {
    for (const std::string& text : options.states)
      for (const TaskState state : read_states(text)) states_.push_back(state);
  }

  // `json`: as the daemon sent it; empty if it is not from there.
  void show(const v1::Event& event, const std::string& json) {
    if (event.dropped() > 0)
      complain(std::to_string(event.dropped()) +
               " events were missed here: they came faster than they were read");
    const TaskState state = task_state(event.state());
    if (!pools_.empty() && std::ranges::find(pools_, event.pool()) == pools_.end()) return;
    if (!states_.empty() && std::ranges::find(states_, state) == states_.end()) return;
    print(lines_ ? line(event, state) : (json.empty() ? to_json(event) : json) + "\n");
  }

 private:
  static void pad(std::string& text, std::size_t width) {
    text.append(width - std::min(width, text_width(text)), ' ');
  }

  std::string line(const v1::Event& event, TaskState state) const {
    const Cell cell = state_cell(state);
    std::string padding;
    padding.append(state_width - std::min(state_width, cell.text.size()), ' ');
    std::string pool = escaped_line(event.pool());
    pad(pool, pool_width);
    std::string text = stamp_text(event.time()) + "  " + escaped_line(event.id()) + "  " + pool + "  " +
                       (colours_ ? coloured(cell.text, cell.colour) : cell.text);
    if (event.attempt() > 0)
      text.append(padding).append("  attempt ").append(std::to_string(event.attempt()));
    if (event.outcome() != v1::Outcome::KIND_UNSPECIFIED)
      text.append("  ").append(to_string(outcome_kind(event.outcome())));
    return text + "\n";
  }

  bool lines_;
  bool colours_;
  std::vector<std::string> pools_;
  std::vector<TaskState> states_;
};

bool is_before(const v1::Event& a, const v1::Event& b) { return a.time() < b.time(); }

// The ends, in order, of the tasks that ended at `since` or later.
std::vector<v1::Event> read_ends(const Context& context, const EventsOptions& options, Time since) {
  v1::Selector selector;
  selector.mutable_pools()->Add(options.pools.begin(), options.pools.end());
  for (const auto state : {v1::Task::SUCCEEDED, v1::Task::FAILED, v1::Task::CANCELLED})
    selector.add_states(state);
  std::vector<v1::Event> events;
  Context listing;  // a connection of its own: the other one carries what happens now
  listing.socket = context.socket;
  list_pages(listing, selector, 0, [&](const v1::ListTasksResponse& page) {
    for (const v1::Task& task : page.tasks()) {
      if (from_proto(task.ended_at()) < since) continue;
      v1::Event& event = events.emplace_back();
      *event.mutable_time() = task.ended_at();
      event.set_id(task.id());
      event.set_pool(task.pool());
      event.set_state(task.state());
      event.set_attempt(task.attempt());
      event.set_outcome(task.outcome().kind());
    }
  });
  std::ranges::stable_sort(events, is_before);
  return events;
}

v1::Event parse_event(const std::string& json) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a newer daemon's
  v1::Event event;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &event, options);
  if (!status.ok()) throw ProtocolError("the daemon's event cannot be read: " + status.ToString());
  return event;
}

int events(Context& context, const EventsOptions& options) {
  EventPrinter printer(context, options);
  std::optional<Time> since;
  if (!options.since.empty()) since = read_time(options.since, std::chrono::system_clock::now());
  std::map<std::string, Time> told;  // lately ended: may come again among what happens now
  const auto begun = [&] {
    if (!since) return;
    const Time live_since = std::chrono::system_clock::now() - std::chrono::minutes(1);
    for (const v1::Event& event : read_ends(context, options, *since)) {
      printer.show(event, {});
      if (from_proto(event.time()) >= live_since) told[event.id()] = from_proto(event.time());
    }
    std::fflush(stdout);
  };
  std::string rest;
  const auto take = [&](std::string_view bytes) {
    rest.append(bytes);
    std::size_t begin = 0;
    for (std::size_t end; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const std::string json = rest.substr(begin, end - begin);
      const v1::Event event = parse_event(json);
      const auto known = told.find(event.id());
      if (known == told.end() || from_proto(event.time()) > known->second + clock_slack)
        printer.show(event, json);
    }
    rest.erase(0, begin);
    std::fflush(stdout);
  };
  context.connection().get("/v1/events", take, begun);
  complain("the daemon has stopped");
  return 0;
}

}  // namespace

void add_events(CLI::App& app, Context& context) {
  const auto options = std::make_shared<EventsOptions>();
  CLI::App* verb = app.add_subcommand("events", "Print changes of tasks as they happen, until Ctrl-C");
  verb->group(group_tasks);
  verb->add_option("--pool", options->pools, "Only of this pool (may be repeated)")
      ->allow_extra_args(false)
      ->type_name("POOL");
  verb->add_option("--state", options->states, "Only changes to these states")
      ->allow_extra_args(false)
      ->type_name("STATE[,STATE]");
  verb->add_option("--since", options->since,
                   "First the tasks that ended since: 10m (ago), or 2024-05-01T12:00:00Z")
      ->type_name("TIME");
  verb->callback(
      [&context, options] { context.action = [&context, options] { return events(context, *options); }; });
}

}  // namespace poold::cli
