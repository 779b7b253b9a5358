#include "daemon/engine/control/task_message.hpp"

#include "daemon/engine/control/shared_payloads.hpp"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

namespace poold::engine {
namespace {

using google::protobuf::util::TimeUtil;

bool parse_spec(const core::Task& task, v1::TaskSpec& spec) {
  return spec.ParseFromArray(task.spec.data(), static_cast<int>(task.spec.size()));
}

}  // namespace

Found find_task(const Backend& backend, const TaskId& id) {
  const Found found = find_task(backend, sequence_of(id));
  return found.task() && found.task()->id == id ? found : Found{};
}

Found find_task(const Backend& backend, core::Sequence sequence) {
  if (const core::Task* live = backend.state().tasks.find(sequence)) return {live, nullptr};
  const Record* record = backend.store().find(sequence);
  // One whose end is not on the disk yet has not ended.
  if (record && record->task.unsaved) return {&record->task, nullptr};
  return {nullptr, record};
}

bool is_over(Backend& backend, const Record& record) {
  return !record.task.unsaved && record.ended_at < backend.now();
}

v1::Task::State state_of(core::TaskState state) {
  switch (state) {
    case core::TaskState::waiting:
      return v1::Task::WAITING;
    case core::TaskState::queued:
      return v1::Task::QUEUED;
    case core::TaskState::running:
      return v1::Task::RUNNING;
    case core::TaskState::succeeded:
      return v1::Task::SUCCEEDED;
    case core::TaskState::failed:
      return v1::Task::FAILED;
    case core::TaskState::cancelled:
      return v1::Task::CANCELLED;
  }
  return v1::Task::STATE_UNSPECIFIED;
}

v1::Task::State shown_state(const core::Task& task) {
  const bool running = task.unsaved && task.attempt > 0;
  switch (task.state) {
    case core::TaskState::succeeded:
    case core::TaskState::failed:
    case core::TaskState::cancelled:
      return !task.unsaved ? state_of(task.state) : running ? v1::Task::RUNNING : v1::Task::QUEUED;
    case core::TaskState::waiting:
    case core::TaskState::queued:
    case core::TaskState::running:
      return state_of(task.state);
  }
  return v1::Task::STATE_UNSPECIFIED;
}

v1::Outcome::Kind kind_of(core::OutcomeKind kind) {
  static_assert(static_cast<int>(core::OutcomeKind::rejected) == v1::Outcome::REJECTED);
  return static_cast<v1::Outcome::Kind>(kind);
}

v1::Outcome outcome_of(const Record& record) {
  v1::Outcome outcome;
  if (!record.body.empty()) outcome.ParseFromString(record.body);
  outcome.set_kind(kind_of(record.kind));
  const bool worker_died = record.body.empty() && record.task.attempt > 0 &&
                           (record.worker_signaled || record.kind == core::OutcomeKind::worker_lost);
  if (worker_died && record.worker_signaled) outcome.set_signal(record.worker_code);
  if (worker_died && !record.worker_signaled) outcome.set_exit_code(record.worker_code);
  if (worker_died && record.task.last_pid > 0) outcome.set_pid(record.task.last_pid);
  return outcome;
}

std::string shown_name(const v1::TaskSpec& spec) {
  if (!spec.name().empty()) return spec.name();
  if (spec.has_function()) return spec.function().name();
  if (spec.command().argv_size() > 0) return spec.command().argv(0);
  return {};
}

void fill_task(const Backend& backend, const Found& found, v1::Task& message, bool copy_shared) {
  const core::Task& task = *found.task();
  v1::TaskSpec spec;
  parse_spec(task, spec);
  message.set_id(to_string(task.id));
  message.set_pool(backend.state().pools[task.pool].settings.name);
  message.set_name(shown_name(spec));
  message.set_state(shown_state(task));
  message.set_attempt(task.attempt);
  message.set_crashes(task.crashes);
  message.set_priority(task.priority);
  message.set_key(spec.key());
  message.mutable_labels()->swap(*spec.mutable_labels());
  *message.mutable_submitted_at() = TimeUtil::NanosecondsToTimestamp(backend.unix_ns(task.submitted_at));
  message.set_uid(task.uid);
  if (task.options) message.set_group(task.options->group);
  message.set_cancelling(task.cancelling && found.live);
  if (spec.has_command()) message.mutable_command()->Swap(spec.mutable_command());
  if (spec.has_function()) message.mutable_function()->Swap(spec.mutable_function());
  if (task.attempt > 0) {
    *message.mutable_started_at() = TimeUtil::NanosecondsToTimestamp(backend.unix_ns(task.started_at));
    message.mutable_placement()->set_slot(task.last_slot);
    message.mutable_placement()->set_generation(task.generation);
    message.mutable_placement()->set_pid(task.last_pid);
  }
  if (!found.ended) return;
  *message.mutable_ended_at() = TimeUtil::NanosecondsToTimestamp(backend.unix_ns(found.ended->ended_at));
  *message.mutable_outcome() = outcome_of(*found.ended);
  show_shared_result(*found.ended, copy_shared, *message.mutable_outcome());
}

void fill_options(const core::Task& task, v1::TaskSpec& options) {
  parse_spec(task, options);
  options.clear_work();
}

std::optional<ConnectError> complaint_about(const Backend& backend, const v1::Selector& selector) {
  for (const auto& name : selector.pools())
    if (!backend.state().pool_names.contains(name))
      return ConnectError{Code::not_found, "selector.pools: there is no pool " + quoted(name)};
  return {};
}

TaskFilter::TaskFilter(const Backend& backend, const v1::Selector& selector)
    : backend_(backend), selector_(selector) {
  for (const auto& name : selector.pools()) {
    const auto pool = backend.state().pool_names.find(name);
    if (pool != backend.state().pool_names.end()) pools_.push_back(pool->second);
  }
  for (const auto& text : selector.ids())
    if (const auto id = parse_task_id(text)) ids_.push_back(*id);
  if (selector.has_since()) since_ns_ = TimeUtil::TimestampToNanoseconds(selector.since());
  if (selector.has_until()) until_ns_ = TimeUtil::TimestampToNanoseconds(selector.until());
  live_only_ = selector.states_size() > 0 && std::ranges::all_of(selector.states(), [](int state) {
                 return state == v1::Task::WAITING || state == v1::Task::QUEUED || state == v1::Task::RUNNING;
               });
}

bool TaskFilter::matches(const core::Task& task) const {
  if (uid_ && task.uid != *uid_) return false;
  if (selector_.ids_size() > 0 && std::ranges::find(ids_, task.id) == ids_.end()) return false;
  if (selector_.pools_size() > 0 && std::ranges::find(pools_, task.pool) == pools_.end()) return false;
  if (selector_.states_size() > 0 &&
      std::ranges::find(selector_.states(), shown_state(task)) == selector_.states().end())
    return false;
  if (selector_.groups_size() > 0 &&
      (!task.options || task.options->group.empty() ||
       std::ranges::find(selector_.groups(), task.options->group) == selector_.groups().end()))
    return false;
  const std::int64_t submitted = backend_.unix_ns(task.submitted_at);
  if (since_ns_ && submitted < *since_ns_) return false;
  if (until_ns_ && submitted >= *until_ns_) return false;
  if (selector_.names_size() == 0 && selector_.labels_size() == 0) return true;
  v1::TaskSpec spec;
  if (!parse_spec(task, spec)) return false;
  if (selector_.names_size() > 0 &&
      std::ranges::find(selector_.names(), shown_name(spec)) == selector_.names().end())
    return false;
  return std::ranges::all_of(selector_.labels(), [&](const auto& wanted) {
    const auto label = spec.labels().find(wanted.first);
    return label != spec.labels().end() && label->second == wanted.second;
  });
}

}  // namespace poold::engine
