#include "daemon/engine/control/submission_options.hpp"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <charconv>

#include "daemon/engine/control/task_message.hpp"
#include "daemon/engine/io/limits.hpp"

namespace poold::engine {
namespace {

using google::protobuf::util::TimeUtil;
using Complaint = std::optional<std::string>;

bool asks_for_nothing(const v1::TaskSpec& spec) {
  return !spec.has_delay() && !spec.has_at() && !spec.has_ttl() && spec.after_size() == 0 &&
         spec.after_any_size() == 0 && !spec.hold() && spec.limits_size() == 0 && !spec.has_backoff() &&
         !spec.has_backoff_max() && spec.retry_on_size() == 0 && !spec.has_timeout() && !spec.has_grace() &&
         !spec.has_deadline() && spec.on_parent_failure() == v1::TaskSpec::CANCEL && spec.group().empty() &&
         spec.after_group().empty();
}

// `zero` says whether no time at all means something here.
Complaint read_duration(const char* field, bool present, const google::protobuf::Duration& from, bool zero,
                        core::Duration& into) {
  if (!present) return std::nullopt;
  const bool valid = from.seconds() >= 0 && from.seconds() <= duration_seconds_max && from.nanos() >= 0 &&
                     from.nanos() < 1'000'000'000;
  if (!valid) return std::string(field) + ": expected a duration of at most ten years, not negative";
  into = std::chrono::seconds(from.seconds()) + core::Duration(from.nanos());
  if (!zero && into == core::Duration{}) return std::string(field) + ": expected more than no time";
  return std::nullopt;
}

Complaint read_times(Backend& backend, const v1::TaskSpec& spec, core::TaskOptions& options) {
  if (spec.has_delay() && spec.has_at()) return "at: either delay or at";
  core::Duration delay{};
  if (auto complaint = read_duration("delay", spec.has_delay(), spec.delay(), true, delay)) return complaint;
  if (delay > core::Duration{}) options.not_before = backend.now() + delay;
  if (spec.has_at()) {
    if (spec.at().nanos() < 0 || spec.at().nanos() >= 1'000'000'000) return "at: not a time";
    const std::int64_t now = backend.unix_ns(backend.now());
    const std::int64_t ahead = spec.at().seconds() - now / 1'000'000'000;
    if (ahead > duration_seconds_max) return "at: more than ten years ahead";
    // What is past is now.
    if (ahead >= 0)
      options.not_before = backend.now() + core::Duration(TimeUtil::TimestampToNanoseconds(spec.at()) - now);
  }
  if (auto complaint = read_duration("ttl", spec.has_ttl(), spec.ttl(), false, options.time_to_live))
    return complaint;
  if (auto complaint = read_duration("timeout", spec.has_timeout(), spec.timeout(), false, options.timeout))
    return complaint;
  if (auto complaint =
          read_duration("deadline", spec.has_deadline(), spec.deadline(), false, options.deadline))
    return complaint;
  if (spec.has_grace()) return read_duration("grace", true, spec.grace(), true, options.grace.emplace());
  return std::nullopt;
}

Complaint read_retry_on(const std::string& word, const std::string& field, core::RetryOn& retry_on) {
  int code = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), code);
  if (error == std::errc() && end == word.data() + word.size()) {
    if (code < 1 || code > 255) return field + ": an exit code is 1 to 255";
    retry_on.codes.push_back(code);
    return std::nullopt;
  }
  using core::OutcomeKind;
  for (const OutcomeKind kind : {OutcomeKind::exited, OutcomeKind::raised, OutcomeKind::signaled,
                                 OutcomeKind::timed_out, OutcomeKind::out_of_memory}) {
    if (core::name(kind) != word) continue;
    retry_on.add(kind);
    return std::nullopt;
  }
  if (word == core::name(OutcomeKind::worker_lost))
    return field + ": a lost worker is tried again by crashAttempts, whatever retryOn says";
  return field + ": " + quoted(word) +
         " is not one of EXITED, RAISED, SIGNALED, TIMED_OUT, OUT_OF_MEMORY and exit codes 1 to 255";
}

Complaint read_failures(const v1::TaskSpec& spec, core::TaskOptions& options) {
  if (auto complaint = read_duration("backoff", spec.has_backoff(), spec.backoff(), true, options.backoff))
    return complaint;
  if (auto complaint =
          read_duration("backoffMax", spec.has_backoff_max(), spec.backoff_max(), false, options.backoff_max))
    return complaint;
  if (spec.retry_on_size() > 64) return "retryOn: more than 64";
  for (int i = 0; i < spec.retry_on_size(); ++i) {
    const std::string field = "retryOn[" + std::to_string(i) + "]";
    if (auto complaint = read_retry_on(spec.retry_on(i), field, options.retry_on)) return complaint;
  }
  return std::nullopt;
}

Complaint read_limits(const Backend& backend, const v1::TaskSpec& spec, core::TaskOptions& options) {
  if (spec.limits_size() > task_limits_max) return "limits: more than 16";
  for (const auto& [name, tokens] : spec.limits()) {
    if (auto complaint = check_limit_name("limits", name)) return complaint;
    const std::string field = "limits[" + name + "]: ";
    if (tokens == 0) return field + "expected at least one token";
    const auto known = backend.state().limits.find(name);
    const std::uint32_t size = known == backend.state().limits.end() ? 1 : known->second->settings.size;
    // A closed one may be opened again.
    if (tokens > std::max(size, 1u))
      return field + std::to_string(tokens) + " tokens of a limit that has " + std::to_string(size) +
             " (Limits/Set, or limits in the configuration, changes that)";
    options.limits.push_back({name, tokens});
  }
  // A map has no order; the core's decisions do.
  std::ranges::sort(options.limits, {}, &core::LimitUse::name);
  return std::nullopt;
}

// Whoever may not see a task is told that there is none.
std::optional<ConnectError> read_parents(const Backend& backend, const Rights& rights, const char* field,
                                         bool however,
                                         const google::protobuf::RepeatedPtrField<std::string>& ids,
                                         core::TaskOptions& options) {
  for (int i = 0; i < ids.size(); ++i) {
    const auto id = parse_task_id(ids[i]);
    const Found found = id ? find_task(backend, *id) : Found{};
    if (!found.task() || !rights.may_see(*found.task()))
      return ConnectError{Code::not_found, std::string(field) + "[" + std::to_string(i) +
                                               "]: there is no task " + quoted(ids[i])};
    core::Parent parent{sequence_of(*id), however, std::nullopt};
    if (found.ended) parent.succeeded = found.ended->task.state == core::TaskState::succeeded;
    options.parents.push_back(parent);
  }
  return std::nullopt;
}

Complaint read_groups(const v1::TaskSpec& spec, core::TaskOptions& options) {
  for (const auto& [field, name] : {std::pair("group", &spec.group()), {"afterGroup", &spec.after_group()}}) {
    if (name->size() > name_bytes_max) return std::string(field) + ": longer than 255 bytes";
    for (const unsigned char c : *name)
      if (c < 0x20 || c == 0x7f) return std::string(field) + ": control characters are not accepted";
  }
  if (!spec.group().empty() && spec.group() == spec.after_group())
    return "afterGroup: a task cannot wait for its own group";
  options.group = spec.group();
  options.after_group = spec.after_group();
  return std::nullopt;
}

}  // namespace

std::optional<std::string> check_limit_name(const std::string& field, const std::string& name) {
  if (name.empty()) return field + ": a limit's name is empty";
  if (name.size() > name_bytes_max) return field + ": a limit's name is longer than 255 bytes";
  for (const unsigned char c : name)
    if (c < 0x20 || c == 0x7f) return field + ": a limit's name has control characters";
  return std::nullopt;
}

std::variant<core::Rate, ConnectError> read_rate(const v1::Rate& from) {
  core::Rate rate;
  const auto refuse = [](const char* text) { return ConnectError{Code::invalid_argument, text}; };
  if (from.count() < 1 || from.count() > core::rate_count_max) return refuse("rate.count: 1 to 1000000");
  if (from.burst() > core::rate_count_max) return refuse("rate.burst: 0 to 1000000");
  rate.count = from.count();
  rate.burst = std::max(1u, from.burst());
  if (!from.has_per()) return rate;
  if (auto complaint = read_duration("rate.per", true, from.per(), false, rate.per))
    return ConnectError{Code::invalid_argument, *complaint};
  if (rate.per < std::chrono::milliseconds(1) || rate.per > std::chrono::hours(24))
    return refuse("rate.per: 1ms to 24h");
  return rate;
}

std::variant<std::unique_ptr<core::TaskOptions>, ConnectError> make_options(Backend& backend,
                                                                            const v1::TaskSpec& spec,
                                                                            const Rights& rights) {
  if (asks_for_nothing(spec)) return nullptr;
  auto options = std::make_unique<core::TaskOptions>();
  auto complaint = read_times(backend, spec, *options);
  if (!complaint) complaint = read_failures(spec, *options);
  if (!complaint) complaint = read_limits(backend, spec, *options);
  if (!complaint) complaint = read_groups(spec, *options);
  if (!complaint && spec.after_size() + spec.after_any_size() > parents_max)
    complaint = "after: more than 1000 tasks in after and afterAny";
  if (!complaint && !v1::TaskSpec::ParentFailure_IsValid(spec.on_parent_failure()))
    complaint = "onParentFailure: not CANCEL or RELEASE";
  if (complaint) return ConnectError{Code::invalid_argument, *complaint};
  options->cancel_with_parent = spec.on_parent_failure() == v1::TaskSpec::CANCEL;
  options->held = spec.hold();
  if (auto error = read_parents(backend, rights, "after", false, spec.after(), *options)) return *error;
  if (auto error = read_parents(backend, rights, "afterAny", true, spec.after_any(), *options)) return *error;
  return options;
}

}  // namespace poold::engine
