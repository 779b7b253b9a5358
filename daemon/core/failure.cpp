// What follows when a task fails: another attempt, now or later, or its end.
#include <algorithm>
#include <utility>

#include "daemon/core/handlers.hpp"

namespace poold::core {
namespace {

// SplitMix64's finalizer: every bit of the result depends on every bit of the input.
std::uint64_t scatter(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

bool may_repeat(const State& state, const Task& task, OutcomeKind kind, int exit_code, Time now) {
  if (task.failures >= task.attempts_max || kind == OutcomeKind::rejected) return false;
  if (state.stopping && !state.pools[task.pool].settings.durable) return false;
  if (!task.options) return true;
  const TaskOptions& options = *task.options;
  // Nobody waits for an attempt that could only begin after the deadline.
  return options.retry_on.matches(kind, exit_code) && now + backoff_delay(task) < options.deadline_at;
}

}  // namespace

Duration backoff_delay(const Task& task) {
  const TaskOptions& options = *task.options;
  if (options.backoff == Duration{}) return {};
  Duration delay = std::min(options.backoff, options.backoff_max);
  for (std::uint32_t failure = 1; failure < task.failures && delay < options.backoff_max; ++failure)
    delay = std::min(delay * 2, options.backoff_max);
  // Between half and all of it, so that what failed together is not tried again together.
  const auto half = static_cast<std::uint64_t>(delay.count() / 2);
  const std::uint64_t chance = scatter(options.seed ^ task.sequence() * 0x9e3779b97f4a7c15 ^ task.failures);
  return delay - Duration(static_cast<std::int64_t>(half ? chance % half : 0));
}

void fail_attempt(State& state, Task& task, OutcomeKind kind, int exit_code, std::string body, Time now,
                  Step& step) {
  ++task.failures;
  if (!may_repeat(state, task, kind, exit_code, now))
    return finish(state, task, TaskState::failed, kind, std::move(body), now, step);
  if (task.options) task.options->not_before = now + backoff_delay(task);
  repeat_attempt(state, task, kind, now, step);
}

void repeat_attempt(State& state, Task& task, OutcomeKind kind, Time now, Step& step) {
  task.interrupted = false;
  if (task.options) task.options->timing_out = false;
  place(state, task, now);
  save(state, task, step);
  step.promises.push_back(AttemptEnded{task.sequence(), task.attempt, kind, task.pool});
}

}  // namespace poold::core
