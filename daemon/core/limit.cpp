// Tokens taken, given back and offered. What limits are is in limit.hpp.
#include "daemon/core/limit.hpp"

#include <algorithm>
#include <utility>

#include "common/invariant.hpp"
#include "daemon/core/handlers.hpp"

namespace poold::core {
namespace {

Limit& find_or_make(State& state, const std::string& name) {
  std::unique_ptr<Limit>& limit = state.limits[name];
  if (limit) return *limit;
  limit = std::make_unique<Limit>();
  limit->settings.name = name;
  limit->number = ++state.last_limit;
  state.limit_numbers.emplace(limit->number, limit.get());
  return *limit;
}

void forget_unused(State& state, Limit& limit) {
  if (limit.set || limit.users > 0) return;
  state.limit_numbers.erase(limit.number);
  state.limits.erase(std::string(limit.settings.name));  // a copy: the name goes with the limit
}

// The task's use of a limit that it names.
LimitUse& use_of(Task& task, const Limit& limit) {
  const auto use = std::ranges::find(task.options->limits, &limit, &LimitUse::limit);
  invariant(use != task.options->limits.end(), "a task stands in the list of a limit that it names");
  return *use;
}

// Rings when the rate allows one more start than it does now; never if all of its burst is there.
void arm_refill(State& state, Limit& limit, Time now) {
  const Rate& rate = limit.settings.rate;
  const std::uint32_t available = limit.bucket.available(rate, now);
  if (available >= rate.burst || std::exchange(limit.timer_armed, true)) return;
  state.timers.push(
      {limit.bucket.when(rate, now, available + 1), TimerKind::limit_refills, {}, limit.number});
}

// How far a task that is offered tokens is carried past those of other limits: with thousands of limits, the
// order of those that wait for a slot would cost more than it is worth.
constexpr std::uint32_t offer_steps_max = 64;

// Offers what there is to the first of those who are parked in this pool.
void offer(State& state, Limit& limit, PoolIndex index, Limit::Parked& parked, Time now) {
  Pool& pool = state.pools[index];
  const Rate& rate = limit.settings.rate;
  while (Task* task = parked.queue.front()) {
    const std::uint32_t tokens = limit.share_of(use_of(*task, limit).tokens);
    if (tokens == 0 || limit.used + parked.offered + tokens > limit.settings.size) return;
    if (rate && parked.offered_starts >= limit.bucket.available(rate, now))
      return arm_refill(state, limit, now);
    parked.queue.take(*task);
    parked.offered += tokens;
    ++parked.offered_starts;
    --pool.parked;
    TaskOptions& options = *task->options;
    options.parked_at = nullptr;
    options.offered_by = &limit;
    options.offered = tokens;
    task->state = TaskState::queued;
    count_in_group(*task, TaskState::waiting);
    pool.queue.push_sorted(*task, nullptr, offer_steps_max);
    mark_dirty(state, index);
  }
}

void offer_to_all(State& state, Limit& limit, Time now) {
  for (auto& [pool, parked] : limit.parked) offer(state, limit, pool, parked, now);
}

// Without telling others that it is there again.
Limit* take_offer(Task& task) {
  TaskOptions& options = *task.options;
  Limit* limit = std::exchange(options.offered_by, nullptr);
  if (!limit) return nullptr;
  Limit::Parked& parked = limit->parked.at(task.pool);
  parked.offered -= std::exchange(options.offered, 0);
  --parked.offered_starts;
  return limit;
}

// Is there nothing in this limit for the task now?
bool blocked(const Limit& limit, const LimitUse& use, const Task& task, Time now) {
  const std::uint32_t tokens = limit.share_of(use.tokens);
  if (tokens == 0 || limit.used + tokens > limit.settings.size) return true;
  if (limit.settings.rate && limit.bucket.available(limit.settings.rate, now) == 0) return true;
  if (task.options->offered_by == &limit) return false;
  // Those who came before and wait go first, so that one who wants much gets it in the end.
  const auto parked = limit.parked.find(task.pool);
  if (parked == limit.parked.end()) return false;
  const Task* first = parked->second.queue.front();
  return first && !parked->second.queue.before(task, *first);
}

void park(State& state, Task& task, Limit& limit, Time now) {
  Pool& pool = state.pools[task.pool];
  pool.queue.remove(task);
  ++pool.parked;
  Limit* offered_by = take_offer(task);
  task.state = TaskState::waiting;
  count_in_group(task, TaskState::queued);
  task.options->parked_at = &limit;
  Limit::Parked& parked = limit.parked[task.pool];
  parked.queue.configure(pool.settings.ageing, pool.settings.shares);
  offered_by ? parked.queue.push_sorted(task, nullptr, offer_steps_max) : parked.queue.push_back(task);
  if (offered_by && offered_by != &limit) offer_to_all(state, *offered_by, now);
  offer(state, limit, task.pool, parked, now);
}

}  // namespace

void enter_limits(State& state, Task& task) {
  for (LimitUse& use : task.options->limits) {
    use.limit = &find_or_make(state, use.name);
    ++use.limit->users;
  }
}

void leave_limits(State& state, Task& task) {
  for (LimitUse& use : task.options->limits) {
    invariant(use.taken == 0, "tokens are given back before the task ends");
    Limit& limit = *std::exchange(use.limit, nullptr);
    --limit.users;
    forget_unused(state, limit);
  }
}

bool take_tokens(State& state, Task& task, Time now) {
  for (LimitUse& use : task.options->limits) {
    if (!blocked(*use.limit, use, task, now)) continue;
    park(state, task, *use.limit, now);
    return false;
  }
  Limit* offered_by = take_offer(task);
  for (LimitUse& use : task.options->limits) {
    use.taken = use.limit->share_of(use.tokens);
    use.limit->used += use.taken;
    if (use.limit->settings.rate) use.limit->bucket.take(use.limit->settings.rate, now);
  }
  // What was offered and what is taken differ where a size has changed; and the next may wait for the rate.
  if (offered_by) offer_to_all(state, *offered_by, now);

  return true;
}

void keep_tokens(Task& task) {
  for (LimitUse& use : task.options->limits) {
    use.taken = use.limit->share_of(use.tokens);
    use.limit->used += use.taken;
  }
}

void give_tokens_back(State& state, Task& task, Time now) {
  for (LimitUse& use : task.options->limits) use.limit->used -= std::exchange(use.taken, 0);
  for (LimitUse& use : task.options->limits) offer_to_all(state, *use.limit, now);
}

void withdraw_offer(State& state, Task& task, Time now) {
  if (Limit* limit = take_offer(task)) offer_to_all(state, *limit, now);
}

void leave_parking(State& state, Task& task, Time now) {
  Limit& limit = *std::exchange(task.options->parked_at, nullptr);
  Limit::Parked& parked = limit.parked.at(task.pool);
  parked.queue.remove(task);
  --state.pools[task.pool].parked;
  // It may have been the one who wanted too much.
  offer(state, limit, task.pool, parked, now);
}

void on_set_limit(State& state, const SetLimit& event, Time now) {
  Limit& limit = find_or_make(state, event.limit.name);
  if (limit.settings.rate != event.limit.rate) limit.bucket = {};
  limit.settings = event.limit;
  limit.set = true;
  limit.configured = false;
  offer_to_all(state, limit, now);
}

void on_remove_limit(State& state, const RemoveLimit& event, Time now) {
  const auto at = state.limits.find(event.name);
  if (at == state.limits.end()) return;
  Limit& limit = *at->second;
  limit.settings = {limit.settings.name};
  limit.set = limit.configured = false;
  offer_to_all(state, limit, now);
  forget_unused(state, limit);
}

void configure_limits(State& state, const std::vector<LimitSettings>& limits, Time now) {
  std::vector<std::string> gone;
  for (const auto& [name, limit] : state.limits) {
    if (limit->configured && std::ranges::find(limits, name, &LimitSettings::name) == limits.end())
      gone.push_back(name);
  }
  for (const std::string& name : gone) on_remove_limit(state, {name}, now);
  for (const LimitSettings& settings : limits) {
    on_set_limit(state, {settings}, now);
    state.limits.at(settings.name)->configured = true;
  }
}

void ring_limit_refills(State& state, const Timer& timer, Time now) {
  const auto at = state.limit_numbers.find(timer.task);
  if (at == state.limit_numbers.end()) return;
  at->second->timer_armed = false;
  if (at->second->settings.rate) offer_to_all(state, *at->second, now);
}

}  // namespace poold::core
