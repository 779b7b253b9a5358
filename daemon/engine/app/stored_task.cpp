#include "daemon/engine/app/stored_task.hpp"

#include <chrono>
#include <utility>

#include "poold/internal/store.pb.h"

namespace poold::engine {
namespace {

std::string pack_options(const core::TaskOptions& options, const WallClock& clock) {
  internal::StoredOptions packed;
  packed.set_not_before_ns(clock.unix_ns(options.not_before));
  packed.set_time_to_live_ns(options.time_to_live.count());
  packed.set_timeout_ns(options.timeout.count());
  packed.set_deadline_ns(options.deadline.count());
  if (options.grace) packed.set_grace_ns(options.grace->count());
  packed.set_backoff_ns(options.backoff.count());
  packed.set_backoff_max_ns(options.backoff_max.count());
  packed.set_seed(options.seed);
  packed.set_retry_kinds(options.retry_on.kinds);
  packed.mutable_retry_codes()->Assign(options.retry_on.codes.begin(), options.retry_on.codes.end());
  for (const core::LimitUse& use : options.limits) {
    auto& limit = *packed.add_limits();
    limit.set_name(use.name);
    limit.set_tokens(use.tokens);
  }
  for (const core::Parent& known : options.parents) {
    auto& parent = *packed.add_parents();
    parent.set_task(known.task);
    parent.set_however(known.however);
  }
  packed.set_run_after_failed_parent(!options.cancel_with_parent);
  packed.set_held(options.held);
  packed.set_expires_at_ns(clock.unix_ns(options.expires_at));
  packed.set_deadline_at_ns(clock.unix_ns(options.deadline_at));
  packed.set_attempts_before(options.attempts_before);
  packed.set_group(options.group);
  packed.set_after_group(options.after_group);
  return packed.SerializeAsString();
}

std::unique_ptr<core::TaskOptions> unpack_options(const std::string& bytes, const WallClock& clock) {
  if (bytes.empty()) return nullptr;
  internal::StoredOptions packed;
  if (!packed.ParseFromString(bytes))
    throw StoreError(StoreError::Kind::damaged, "the options of a task cannot be read");
  auto options = std::make_unique<core::TaskOptions>();
  options->not_before = clock.core_time(packed.not_before_ns(), {});
  options->time_to_live = core::Duration(packed.time_to_live_ns());
  options->timeout = core::Duration(packed.timeout_ns());
  options->deadline = core::Duration(packed.deadline_ns());
  if (packed.has_grace_ns()) options->grace = core::Duration(packed.grace_ns());
  options->backoff = core::Duration(packed.backoff_ns());
  options->backoff_max = core::Duration(packed.backoff_max_ns());
  options->seed = packed.seed();
  options->retry_on.kinds = packed.retry_kinds();
  options->retry_on.codes.assign(packed.retry_codes().begin(), packed.retry_codes().end());
  for (const auto& limit : packed.limits()) options->limits.push_back({limit.name(), limit.tokens()});
  for (const auto& parent : packed.parents())
    options->parents.push_back({parent.task(), parent.however(), std::nullopt});
  options->cancel_with_parent = !packed.run_after_failed_parent();
  options->held = packed.held();
  options->expires_at = clock.core_time(packed.expires_at_ns(), core::Time::max());
  options->deadline_at = clock.core_time(packed.deadline_at_ns(), core::Time::max());
  options->attempts_before = packed.attempts_before();
  options->group = packed.group();
  options->after_group = packed.after_group();
  return options;
}

core::Task task_of(StoredTask& stored, core::PoolIndex pool, const WallClock& clock) {
  StoredSubmission& submission = stored.submission;
  core::Task task;
  task.id = submission.id;
  task.pool = pool;
  task.uid = submission.uid;
  task.priority = submission.priority;
  task.attempts_max = submission.attempts_max;
  task.crash_attempts_max = submission.crash_attempts_max;
  task.submitted_at = clock.core_time(submission.submitted_ns, {});
  task.spec = std::move(submission.spec);
  if (submission.key) task.key = std::make_unique<std::string>(std::move(*submission.key));
  if (!stored.state) return task;
  const StoredState& state = *stored.state;
  task.state = static_cast<core::TaskState>(state.state);
  task.cancelling = state.cancelling;
  task.has_log = task.had_log = state.had_log;
  task.attempt = state.attempt;
  task.failures = state.failures;
  task.crashes = state.crashes;
  task.last_slot = state.slot;
  task.generation = state.generation;
  task.last_pid = state.pid;
  task.started_at = clock.core_time(state.started_ns, {});
  task.options = unpack_options(state.options, clock);
  return task;
}

}  // namespace

StoredSubmission submission_row(const core::Task& task, const std::string& pool, std::uint64_t digest,
                                const WallClock& clock) {
  StoredSubmission row;
  row.id = task.id;
  row.pool = pool;
  row.uid = task.uid;
  row.priority = task.priority;
  row.attempts_max = task.attempts_max;
  row.crash_attempts_max = task.crash_attempts_max;
  row.submitted_ns = clock.unix_ns(task.submitted_at);
  row.spec = task.spec;
  if (task.key) row.key = *task.key;
  row.digest = digest;
  return row;
}

StoredState state_row(const core::Task& task, const WallClock& clock) {
  StoredState row;
  row.id = task.id;
  row.state = static_cast<std::uint8_t>(task.state);
  row.cancelling = task.cancelling;
  row.had_log = task.had_log;
  row.attempt = task.attempt;
  row.failures = task.failures;
  row.crashes = task.crashes;
  row.slot = task.last_slot;
  row.generation = task.generation;
  row.pid = task.last_pid;
  row.started_ns = clock.unix_ns(task.started_at);
  if (task.options) row.options = pack_options(*task.options, clock);
  return row;
}

StoredState ended_row(const Record& record, const WallClock& clock) {
  StoredState row = state_row(record.task, clock);
  row.kind = static_cast<std::uint8_t>(record.kind);
  row.worker_signaled = record.worker_signaled;
  row.worker_code = record.worker_code;
  row.ended_ns = clock.unix_ns(record.ended_at);
  row.body = record.body;
  return row;
}

internal::HandoverTask pack(const StoredSubmission& submission, const StoredState& state) {
  internal::HandoverTask packed;
  packed.set_id_high(submission.id.high);
  packed.set_id_low(submission.id.low);
  packed.set_pool(submission.pool);
  packed.set_uid(submission.uid);
  packed.set_priority(submission.priority);
  packed.set_attempts_max(submission.attempts_max);
  packed.set_crash_attempts_max(submission.crash_attempts_max);
  packed.set_submitted_ns(submission.submitted_ns);
  packed.set_spec(submission.spec);
  if (submission.key) packed.set_key(*submission.key);
  packed.set_digest(submission.digest);
  packed.set_state(state.state);
  packed.set_cancelling(state.cancelling);
  packed.set_had_log(state.had_log);
  packed.set_attempt(state.attempt);
  packed.set_failures(state.failures);
  packed.set_crashes(state.crashes);
  packed.set_slot(state.slot);
  packed.set_generation(state.generation);
  packed.set_pid(state.pid);
  packed.set_started_ns(state.started_ns);
  packed.set_options(state.options);
  packed.set_kind(state.kind);
  packed.set_worker_signaled(state.worker_signaled);
  packed.set_worker_code(state.worker_code);
  packed.set_ended_ns(state.ended_ns);
  packed.set_body(state.body);
  return packed;
}

StoredTask unpack(internal::HandoverTask&& packed) {
  StoredTask task;
  StoredSubmission& submission = task.submission;
  submission.id = {packed.id_high(), packed.id_low()};
  submission.pool = packed.pool();
  submission.uid = packed.uid();
  submission.priority = packed.priority();
  submission.attempts_max = packed.attempts_max();
  submission.crash_attempts_max = packed.crash_attempts_max();
  submission.submitted_ns = packed.submitted_ns();
  submission.spec = std::move(*packed.mutable_spec());
  if (packed.has_key()) submission.key = packed.key();
  submission.digest = packed.digest();
  StoredState& state = task.state.emplace();
  state.id = submission.id;
  state.state = static_cast<std::uint8_t>(packed.state());
  state.cancelling = packed.cancelling();
  state.had_log = packed.had_log();
  state.attempt = packed.attempt();
  state.failures = packed.failures();
  state.crashes = packed.crashes();
  state.slot = packed.slot();
  state.generation = packed.generation();
  state.pid = packed.pid();
  state.started_ns = packed.started_ns();
  state.options = std::move(*packed.mutable_options());
  state.kind = static_cast<std::uint8_t>(packed.kind());
  state.worker_signaled = packed.worker_signaled();
  state.worker_code = packed.worker_code();
  state.ended_ns = packed.ended_ns();
  state.body = std::move(*packed.mutable_body());
  return task;
}

core::Recover recover_event(StoredTask&& stored, core::PoolIndex pool, const WallClock& clock) {
  return {task_of(stored, pool, clock), stored.submission.digest};
}

core::Finished ended_task(StoredTask&& stored, core::PoolIndex pool, const WallClock& clock) {
  core::Finished ended;
  ended.task = task_of(stored, pool, clock);
  ended.kind = static_cast<core::OutcomeKind>(stored.state->kind);
  ended.body = std::move(stored.state->body);
  ended.worker_code = stored.state->worker_code;
  ended.worker_signaled = stored.state->worker_signaled;
  ended.ended_at = clock.core_time(stored.state->ended_ns, {});
  return ended;
}

}  // namespace poold::engine
