// wait: returns when tasks have ended, with the code of the first that failed, in the order of the arguments.
#include <poll.h>

#include <algorithm>

#include "client/cli/exit_code.hpp"
#include "client/cli/reading.hpp"
#include "client/cli/reconnection.hpp"
#include "client/cli/selector_options.hpp"
#include "client/cli/task_text.hpp"
#include "client/cli/verbs.hpp"
#include "client/cpp/poold/error.hpp"
#include "client/cpp/src/task_proto.hpp"

namespace poold::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct WaitOptions {
  SelectorOptions selector;
  std::string timeout;
  bool any = false;
  std::string reconnect = Reconnection::limit_default;
};

// Asks again where the connection breaks: a Wait changes nothing.
void call_wait(Context& context, Reconnection reconnection, v1::WaitRequest& request,
               const Deadline& deadline, v1::WaitResponse& response) {
  bool lost = false;
  for (;;) {
    auto answer_timeout = no_timeout;
    if (deadline) {
      const auto left =
          std::max(milliseconds(0), std::chrono::ceil<milliseconds>(*deadline - steady_clock::now()));
      to_proto(left, *request.mutable_timeout());
      answer_timeout = left + context.connection().answer_timeout();
    }
    const auto asked_at = steady_clock::now();
    std::string reason;
    try {
      return context.connection().call("poold.v1.Tasks/Wait", request, response, answer_timeout);
    } catch (const ConnectionLost& error) {
      if (!reconnection.allowed() || error.code() != Code::unavailable) throw;
      // One that had been waiting was lost anew; what breaks at once belongs to the same outage.
      if (!lost || steady_clock::now() - asked_at > Reconnection::try_timeout) reconnection.lost();
      lost = true;
      reason = error.what();
    } catch (const Unreachable& error) {
      if (!lost) throw;
      reason = error.what();
    } catch (const Error& error) {
      if (!lost || error.code() != Code::not_found) throw;
      throw Error(Code::not_found, std::string(error.what()) +
                                       " (the daemon was restarted meanwhile: a pool with durability: memory "
                                       "loses its tasks then)");
    }
    const auto pause = reconnection.next_pause();
    if (!pause) throw Unreachable(Code::unavailable, reconnection.failure({}, reason));
    ::poll(nullptr, 0, static_cast<int>(pause->count()));
  }
}

// One Wait for each 10,000 ids, within one time limit.
v1::WaitResponse wait_for_tasks(Context& context, const std::vector<std::string>& ids,
                                const Deadline& deadline, bool any, const Reconnection& reconnection) {
  v1::WaitResponse all;
  for (std::size_t begin = 0; begin < ids.size(); begin += wait_ids_max) {
    v1::WaitRequest request;
    for (std::size_t i = begin; i < std::min(ids.size(), begin + wait_ids_max); ++i) request.add_ids(ids[i]);
    request.set_any(any);
    v1::WaitResponse response;
    call_wait(context, reconnection, request, deadline, response);
    all.mutable_tasks()->MergeFrom(response.tasks());
  }
  return all;
}

int exit_code(Context& context, const v1::WaitResponse& response, bool any) {
  int code = exit_ok;
  bool all_ended = true;
  bool one_ended = false;
  for (const v1::Task& task : response.tasks()) {
    const bool ended = has_ended(task_state(task.state()));
    all_ended &= ended;
    one_ended |= ended;
    if (!ended || task_state(task.state()) == TaskState::succeeded) continue;
    if (context.format() == Format::table) complain(task.id() + ": " + describe(from_proto(task.outcome())));
    if (code == exit_ok) code = exit_code_of_task(task);
  }
  return (any ? one_ended : all_ended) ? code : static_cast<int>(exit_timed_out);
}

// The daemon knows who is in it; what it names are those that failed, oldest first.
int wait_for_group(Context& context, const WaitOptions& options, const Deadline& deadline,
                   const Reconnection& reconnection) {
  v1::WaitRequest request;
  request.set_group(options.selector.groups.front());
  request.set_any(options.any);
  v1::WaitResponse response;
  call_wait(context, reconnection, request, deadline, response);
  if (context.format() == Format::json) print(to_json(response) + "\n");
  if (context.format() == Format::ndjson) print(to_json(response.group()) + "\n");
  const v1::Group& group = response.group();
  const bool one_ended = group.succeeded() + group.failed() + group.cancelled() > 0;
  const bool all_ended = group.waiting() + group.queued() + group.running() == 0;
  const int code = exit_code(context, response, false);
  return (options.any ? one_ended : all_ended) ? code : static_cast<int>(exit_timed_out);
}

int wait(Context& context, const WaitOptions& options) {
  const Reconnection reconnection(read_duration(options.reconnect, "--reconnect"));
  Deadline deadline;
  if (!options.timeout.empty()) deadline = deadline_after(read_duration(options.timeout, "--timeout"));
  if (options.selector.only_a_group()) return wait_for_group(context, options, deadline, reconnection);
  const std::vector<std::string> ids = resolve_ids(context, options.selector);
  if (options.any && ids.size() > wait_ids_max) throw UsageError("--any takes at most 10000 tasks");
  const v1::WaitResponse response = wait_for_tasks(context, ids, deadline, options.any, reconnection);
  if (context.format() == Format::json) print(to_json(response) + "\n");
  if (context.format() == Format::ndjson)
    for (const v1::Task& task : response.tasks()) print(to_json(task) + "\n");
  return exit_code(context, response, options.any);
}

}  // namespace

void add_wait(CLI::App& app, Context& context) {
  const auto options = std::make_shared<WaitOptions>();
  CLI::App* verb =
      app.add_subcommand("wait", "Wait for tasks to end; exit with the first failing one's code");
  verb->group(group_tasks);
  options->selector.add_to(*verb);
  verb->add_option("--timeout", options->timeout, "Wait at most so long, then exit with 124")
      ->type_name("DURATION");
  verb->add_flag("--any", options->any, "Until the first has ended");
  verb->add_option("--reconnect", options->reconnect, Reconnection::help)->type_name("DURATION");
  verb->callback(
      [&context, options] { context.action = [&context, options] { return wait(context, *options); }; });
}

}  // namespace poold::cli
