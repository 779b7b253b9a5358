// events: a line for every change of a task's state, as it happens. The daemon keeps no history of changes;
// --since begins with the ends of the tasks that it still knows, and so does what follows a lost connection.
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "client/cli/exit_code.hpp"
#include "client/cli/reading.hpp"
#include "client/cli/reconnection.hpp"
#include "client/cli/selector_options.hpp"
#include "client/cli/shown_ends.hpp"
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

struct EventsOptions {
  std::vector<std::string> pools;
  std::vector<std::string> states;
  std::string since;
  std::string reconnect = Reconnection::limit_default;
};

class EventPrinter {
 public:
  EventPrinter(const Context& context, const EventsOptions& options)
      : lines_(context.format() == Format::table), colours_(context.colours()), pools_(options.pools) {
    for (const std::string& text : options.states)
      for (const TaskState state : read_states(text)) states_.push_back(state);
  }

  // `json`: as the daemon sent it; empty if it is not from there. False if it is not wanted.
  bool show(const v1::Event& event, const std::string& json) {
    if (event.dropped() > 0)
      complain(std::to_string(event.dropped()) +
               " events were missed here: they came faster than they were read");
    const TaskState state = task_state(event.state());
    if (!pools_.empty() && std::ranges::find(pools_, event.pool()) == pools_.end()) return false;
    if (!states_.empty() && std::ranges::find(states_, state) == states_.end()) return false;
    print(lines_ ? line(event, state) : (json.empty() ? to_json(event) : json) + "\n");
    return true;
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

// The ends, in order, of the tasks that ended and were not shown.
std::vector<v1::Event> read_ends(const Context& context, const EventsOptions& options,
                                 const ShownEnds& shown) {
  v1::Selector selector;
  selector.mutable_pools()->Add(options.pools.begin(), options.pools.end());
  for (const auto state : {v1::Task::SUCCEEDED, v1::Task::FAILED, v1::Task::CANCELLED})
    selector.add_states(state);
  std::vector<v1::Event> events;
  Context listing;  // a connection of its own: the other one carries what happens now
  listing.socket = context.socket;
  list_pages(listing, selector, 0, [&](const v1::ListTasksResponse& page) {
    for (const v1::Task& task : page.tasks()) {
      v1::Event event;
      *event.mutable_time() = task.ended_at();
      event.set_id(task.id());
      event.set_pool(task.pool());
      event.set_state(task.state());
      event.set_attempt(task.attempt());
      event.set_outcome(task.outcome().kind());
      if (shown.wants_listed(event)) events.push_back(std::move(event));
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

// One run of the verb, over as many connections as it takes.
class Follower {
 public:
  Follower(Context& context, const EventsOptions& options)
      : context_(context),
        options_(options),
        printer_(context, options),
        reconnection_(read_duration(options.reconnect, "--reconnect")),
        shown_(options.since.empty() ? std::chrono::system_clock::now()
                                     : read_time(options.since, std::chrono::system_clock::now(), "--since")) {}

  int run();

 private:
  std::string follow_until_lost();
  void begin();
  void take(std::string_view bytes);

  Context& context_;
  const EventsOptions& options_;
  EventPrinter printer_;
  Reconnection reconnection_;
  ShownEnds shown_;
  bool begun_ = false;  // over this connection
  bool again_ = false;  // there was one before
  std::string rest_;    // of a line
};

int Follower::run() {
  for (;;) {
    std::string reason;
    try {
      reason = follow_until_lost();
    } catch (const Unreachable& error) {
      if (!again_) throw;
      reason = error.what();
    }
    if (!reconnection_.allowed()) {
      complain(reason);
      return exit_ok;
    }
    // One that had told something was lost anew; what breaks at once belongs to the same outage.
    if (std::exchange(begun_, false) || !again_) reconnection_.lost();
    again_ = true;
    const auto pause = reconnection_.next_pause();
    if (!pause) throw Unreachable(Code::unavailable, reconnection_.failure({}, reason));
    ::poll(nullptr, 0, static_cast<int>(pause->count()));
  }
}

// Why it ended.
std::string Follower::follow_until_lost() {
  rest_.clear();
  try {
    context_.connection().get(
        "/v1/events", [this](std::string_view bytes) { take(bytes); }, [this] { begin(); });
    return "the daemon has stopped";
  } catch (const ConnectionLost& lost) {
    if (!reconnection_.allowed() || lost.code() != Code::unavailable) throw;
    return lost.what();
  }
}

// From here on everything is told that happens, and what has ended before is asked for.
void Follower::begin() {
  begun_ = true;
  if (again_)
    complain(
        "the connection to the daemon broke and is back: of what happened meanwhile only the ends of tasks "
        "that it still knows are shown");
  if (!again_ && options_.since.empty()) return;
  for (const v1::Event& event : read_ends(context_, options_, shown_))
    if (printer_.show(event, {})) shown_.add_listed(event);
  std::fflush(stdout);
}

void Follower::take(std::string_view bytes) {
  rest_.append(bytes);
  std::size_t begin = 0;
  for (std::size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string json = rest_.substr(begin, end - begin);
    const v1::Event event = parse_event(json);
    if (shown_.wants_live(event) && printer_.show(event, json)) shown_.add_live(event);
  }
  rest_.erase(0, begin);
  std::fflush(stdout);
}

int events(Context& context, const EventsOptions& options) { return Follower(context, options).run(); }

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
  verb->add_option("--reconnect", options->reconnect, Reconnection::help)->type_name("DURATION");
  verb->callback(
      [&context, options] { context.action = [&context, options] { return events(context, *options); }; });
}

}  // namespace poold::cli
