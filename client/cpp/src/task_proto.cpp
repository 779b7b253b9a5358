#include "client/cpp/src/task_proto.hpp"

#include <algorithm>
#include <stdexcept>

#include "client/cpp/src/utf8.hpp"
#include "client/cpp/src/value_proto.hpp"
#include "common/frame.hpp"

namespace poold {
namespace {

using std::chrono::nanoseconds;

// The enums are in the contract's order, so that a number is its own translation.
static_assert(static_cast<int>(TaskState::cancelled) == v1::Task::CANCELLED);
static_assert(static_cast<int>(Outcome::Kind::rejected) == v1::Outcome::REJECTED);

const std::string& checked_text(const char* field, const std::string& text) {
  if (!is_utf8(text)) throw std::invalid_argument(std::string(field) + " is not UTF-8");
  return text;
}

template <class Map, class ProtoMap>
void copy_texts(const char* field, const Map& from, ProtoMap& to) {
  for (const auto& [key, value] : from) to[checked_text(field, key)] = checked_text(field, value);
}

void check_argument(const std::string& argument) {
  if (argument.find('\0') != std::string::npos)
    throw std::invalid_argument("command.argv contains a zero byte");
}

Payload read_payload(const v1::Payload& proto) { return {proto.content_type(), proto.data(), {}}; }

template <class Message>
std::optional<Time> optional_time(bool present, const Message& proto) {
  if (!present) return {};
  return from_proto(proto);
}

}  // namespace

TaskState task_state(int number) {
  return number >= 0 && number <= v1::Task::CANCELLED ? static_cast<TaskState>(number)
                                                      : TaskState::unspecified;
}

Outcome::Kind outcome_kind(int number) {
  return number >= 0 && number <= v1::Outcome::REJECTED ? static_cast<Outcome::Kind>(number)
                                                        : Outcome::Kind::unspecified;
}

std::string_view to_string(TaskState state) {
  if (state == TaskState::unspecified) return "UNKNOWN";
  return v1::Task::State_Name(static_cast<v1::Task::State>(state));
}

std::string_view to_string(Outcome::Kind kind) {
  if (kind == Outcome::Kind::unspecified) return "UNKNOWN";
  return v1::Outcome::Kind_Name(static_cast<v1::Outcome::Kind>(kind));
}

nanoseconds from_proto(const google::protobuf::Duration& proto) {
  return std::chrono::seconds(proto.seconds()) + nanoseconds(proto.nanos());
}

Time from_proto(const google::protobuf::Timestamp& proto) {
  return Time(std::chrono::duration_cast<Time::duration>(std::chrono::seconds(proto.seconds()) +
                                                         nanoseconds(proto.nanos())));
}

void to_proto(nanoseconds duration, google::protobuf::Duration& proto) {
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(duration);
  proto.set_seconds(whole.count());
  proto.set_nanos(static_cast<std::int32_t>((duration - whole).count()));
}

void to_proto(Time time, google::protobuf::Timestamp& proto) {
  const auto since_epoch = std::chrono::duration_cast<nanoseconds>(time.time_since_epoch());
  const auto whole = std::chrono::floor<std::chrono::seconds>(since_epoch);
  proto.set_seconds(whole.count());
  proto.set_nanos(static_cast<std::int32_t>((since_epoch - whole).count()));
}

Outcome from_proto(const v1::Outcome& proto) {
  Outcome outcome;
  outcome.kind = outcome_kind(proto.kind());
  if (proto.has_exit_code()) outcome.exit_code = proto.exit_code();
  if (proto.has_signal()) outcome.signal = proto.signal();
  outcome.core_dumped = proto.core_dumped();
  if (proto.has_value()) outcome.value = from_proto(proto.value());
  if (proto.has_payload()) outcome.payload = read_payload(proto.payload());
  if (proto.has_error())
    outcome.error = TaskError{proto.error().type(), proto.error().message(), proto.error().traceback()};
  if (proto.has_usage()) {
    const v1::Usage& usage = proto.usage();
    outcome.usage = Usage{from_proto(usage.wall()), from_proto(usage.user()), from_proto(usage.system()),
                          usage.max_rss_kib()};
  }
  return outcome;
}

Command from_proto(const v1::Command& proto) {
  Command command;
  const auto& argv = proto.argv_bytes().empty() ? proto.argv() : proto.argv_bytes();
  command.argv.assign(argv.begin(), argv.end());
  command.env.insert(proto.env().begin(), proto.env().end());
  command.cwd = proto.cwd();
  if (proto.has_stdin()) command.stdin_data = proto.stdin();
  return command;
}

Function from_proto(const v1::Function& proto) {
  Function function;
  function.name = proto.name();
  for (const auto& value : proto.args()) function.args.push_back(from_proto(value));
  for (const auto& [key, value] : proto.kwargs()) function.kwargs[key] = from_proto(value);
  if (proto.has_payload()) function.payload = read_payload(proto.payload());
  return function;
}

TaskInfo from_proto(const v1::Task& proto) {
  TaskInfo task;
  task.id = proto.id();
  task.pool = proto.pool();
  task.name = proto.name();
  task.state = task_state(proto.state());
  task.attempt = proto.attempt();
  task.crashes = proto.crashes();
  if (proto.has_outcome()) task.outcome = from_proto(proto.outcome());
  task.priority = proto.priority();
  task.key = proto.key();
  task.labels.insert(proto.labels().begin(), proto.labels().end());
  task.submitted_at = optional_time(proto.has_submitted_at(), proto.submitted_at());
  task.started_at = optional_time(proto.has_started_at(), proto.started_at());
  task.ended_at = optional_time(proto.has_ended_at(), proto.ended_at());
  task.uid = proto.uid();
  task.cancelling = proto.cancelling();
  if (proto.has_command()) task.work = from_proto(proto.command());
  if (proto.has_function()) task.work = from_proto(proto.function());
  if (proto.has_placement())
    task.placement =
        Placement{proto.placement().slot(), proto.placement().generation(), proto.placement().pid()};
  task.group = proto.group();
  return task;
}

GroupInfo from_proto(const v1::Group& proto) {
  return {proto.name(),      proto.uid(),    proto.waiting(),   proto.queued(), proto.running(),
          proto.succeeded(), proto.failed(), proto.cancelled(), proto.closed()};
}

void to_proto(const Command& command, v1::Command& proto) {
  const bool text = std::all_of(command.argv.begin(), command.argv.end(), is_utf8);
  for (const std::string& argument : command.argv) {
    check_argument(argument);
    text ? proto.add_argv(argument) : proto.add_argv_bytes(argument);
  }
  copy_texts("command.env", command.env, *proto.mutable_env());
  proto.set_cwd(checked_text("command.cwd", command.cwd));
  if (command.stdin_data) proto.set_stdin(*command.stdin_data);
}

void to_proto(const Function& function, v1::Function& proto) {
  proto.set_name(checked_text("function.name", function.name));
  for (const Value& value : function.args) to_proto(value, *proto.add_args());
  for (const auto& [key, value] : function.kwargs)
    to_proto(value, (*proto.mutable_kwargs())[checked_text("function.kwargs", key)]);
  if (function.payload) {
    proto.mutable_payload()->set_content_type(
        checked_text("function.payload.contentType", function.payload->content_type));
    if (function.payload->shared)
      proto.mutable_payload()->set_shared_size(function.payload->shared->bytes().size());
    else
      proto.mutable_payload()->set_data(function.payload->data);
  }
}

void to_proto(const SubmitOptions& options, v1::TaskSpec& proto) {
  proto.set_pool(checked_text("pool", options.pool));
  proto.set_name(checked_text("name", options.name));
  proto.set_key(checked_text("key", options.key));
  proto.set_priority(options.priority);
  proto.set_attempts(options.attempts);
  proto.set_crash_attempts(options.crash_attempts);
  copy_texts("labels", options.labels, *proto.mutable_labels());
  const auto set_time = [](nanoseconds time, auto make) {
    if (time != nanoseconds{}) to_proto(time, *make());
  };
  set_time(options.delay, [&] { return proto.mutable_delay(); });
  if (options.at) to_proto(*options.at, *proto.mutable_at());
  set_time(options.time_to_live, [&] { return proto.mutable_ttl(); });
  for (const std::string& id : options.after) proto.add_after(checked_text("after", id));
  for (const std::string& id : options.after_any) proto.add_after_any(checked_text("afterAny", id));
  if (options.release_on_parent_failure) proto.set_on_parent_failure(v1::TaskSpec::RELEASE);
  proto.set_hold(options.hold);
  proto.set_group(checked_text("group", options.group));
  proto.set_after_group(checked_text("afterGroup", options.after_group));
  if (options.wait_for_room) proto.set_when_full(v1::TaskSpec::WAIT);
  for (const auto& [limit, tokens] : options.limits)
    (*proto.mutable_limits())[checked_text("limits", limit)] = tokens;
  set_time(options.backoff, [&] { return proto.mutable_backoff(); });
  set_time(options.backoff_max, [&] { return proto.mutable_backoff_max(); });
  for (const std::string& word : options.retry_on) proto.add_retry_on(checked_text("retryOn", word));
  set_time(options.timeout, [&] { return proto.mutable_timeout(); });
  if (options.grace) to_proto(*options.grace, *proto.mutable_grace());
  set_time(options.deadline, [&] { return proto.mutable_deadline(); });
}

void to_proto(const Selector& selector, v1::Selector& proto) {
  for (const auto& id : selector.ids) proto.add_ids(checked_text("selector.ids", id));
  for (const auto& pool : selector.pools) proto.add_pools(checked_text("selector.pools", pool));
  for (const auto state : selector.states) proto.add_states(static_cast<v1::Task::State>(state));
  for (const auto& name : selector.names) proto.add_names(checked_text("selector.names", name));
  for (const auto& group : selector.groups) proto.add_groups(checked_text("selector.groups", group));
  copy_texts("selector.labels", selector.labels, *proto.mutable_labels());
  if (selector.since) to_proto(*selector.since, *proto.mutable_since());
  if (selector.until) to_proto(*selector.until, *proto.mutable_until());
}

}  // namespace poold
