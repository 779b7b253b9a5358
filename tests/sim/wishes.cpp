// Tasks that ask for more than to be run: delays, time limits, parents, other attempts. What they ask is
// drawn here, and here the judge says whether they got it.
#include <algorithm>

#include "tests/sim/simulation.hpp"

namespace poold::sim {

std::unique_ptr<TaskOptions> Simulation::choose_wishes(Wishes& wishes) {
  constexpr Duration delays[] = {1ms, 300ms, 5s}, lives[] = {10ms, 1s, 20s}, timeouts[] = {5ms, 500ms, 5s},
                     deadlines[] = {100ms, 3s, 60s}, backoffs[] = {10ms, 1s}, backoff_maxes[] = {50ms, 10s};
  auto options = std::make_unique<TaskOptions>();
  if (random_.chance(20)) options->not_before = now_ + delays[random_.below(3)];
  if (random_.chance(15)) options->time_to_live = lives[random_.below(3)];
  if (random_.chance(20)) options->timeout = timeouts[random_.below(3)];
  if (random_.chance(10)) options->deadline = deadlines[random_.below(3)];
  if (random_.chance(10)) options->grace = random_.chance(50) ? 0s : 1s;
  if (random_.chance(30)) {
    options->backoff = backoffs[random_.below(2)];
    options->backoff_max = backoff_maxes[random_.below(2)];
    options->seed = random_.next();
  }
  if (random_.chance(15)) {
    if (random_.chance(50)) options->retry_on.add(OutcomeKind::raised);
    if (random_.chance(50)) options->retry_on.codes.push_back(1);
  }
  for (int count = random_.chance(40) ? static_cast<int>(random_.between(1, 2)) : 0; count-- > 0;)
    wishes.limits["l" + std::to_string(random_.below(4))] = random_.between(1, 3);
  for (const auto& [name, tokens] : wishes.limits) options->limits.push_back({name, tokens});
  if (random_.chance(15)) choose_parents(*options, wishes);
  choose_groups(*options, wishes);
  options->held = random_.chance(8);
  wishes.not_before = options->not_before;
  wishes.time_to_live = options->time_to_live;
  wishes.timeout = options->timeout;
  wishes.deadline = options->deadline;
  if (wishes.time_to_live > Duration{}) wishes.expires_at = now_ + wishes.time_to_live;
  if (wishes.deadline > Duration{}) wishes.deadline_at = now_ + wishes.deadline;
  wishes.backoff = options->backoff;
  wishes.backoff_max = options->backoff_max;
  wishes.retry_on = options->retry_on;
  wishes.held = options->held;
  return options;
}

void Simulation::choose_parents(TaskOptions& options, Wishes& wishes) {
  options.cancel_with_parent = wishes.cancel_with_parent = random_.chance(60);
  for (auto count = random_.between(1, 3); count-- > 0;) {
    const Sequence number = last_ - random_.below(std::min<Sequence>(last_, 10));
    const Known& parent = tasks_[number];
    if (number == last_ || parent.id.low == 0) continue;
    const bool however = random_.chance(30);
    const Task* live = core_.state().tasks.find(number);
    if (!live && !parent.finished) continue;  // it ends in this very turn
    if (live) {
      options.parents.push_back({number, however, std::nullopt});
      children_[number].emplace_back(last_, however);
      ++wishes.open_parents;
    } else {
      const bool succeeded = parent.ended_well;
      options.parents.push_back({number, however, succeeded});
      if (!succeeded && !however && options.cancel_with_parent) wishes.doomed = true;
    }
  }
}

void Simulation::hold_or_release() {
  if (last_ == 0) return;
  const Sequence number = last_ - random_.below(std::min<Sequence>(last_, 30));
  const Task* task = core_.state().tasks.find(number);
  Known& known_task = tasks_[number];
  const bool waits = task && task->state != TaskState::running;
  if (random_.chance(60)) {
    if (waits && !known_task.wishes) known_task.wishes.emplace();
    if (waits) known_task.wishes->held = true;
    return handle(Hold{number});
  }
  if (task && known_task.wishes) known_task.wishes->held = false;
  handle(Release{number});
}

void Simulation::release_all() {
  for (Sequence number = 1; number <= last_; ++number) {
    if (!tasks_[number].wishes || !tasks_[number].wishes->held || !lives(number)) continue;
    tasks_[number].wishes->held = false;
    handle(Release{number});
  }
}

void Simulation::retry() {
  if (ended_.empty()) return;
  const auto at = std::next(ended_.begin(), static_cast<std::ptrdiff_t>(random_.below(ended_.size())));
  const Sequence number = at->first;
  Known& task = tasks_[number];
  const bool open = is_open(core_.state().pools[task.pool], task.uid);
  require_task(refusal_of_retry(core_.state(), at->second).has_value() == !open, number,
               "may be tried again and is not, or the reverse");
  if (!open) return;
  Task record = std::move(at->second);
  ended_.erase(at);
  ++user_tasks_[{task.pool, task.uid}];
  ++accepted_;
  task.finished = task.cancelled = task.succeeded = task.started = false;
  task.was_returned = true;
  task.failures = 0;
  if (task.wishes) {
    Wishes& wishes = *task.wishes;
    wishes.not_before = {};
    wishes.doomed = wishes.held = false;
    wishes.open_parents = 0;
    wishes.waits_for_group = false;
    wishes.after_group.clear();
    if (!wishes.group.empty()) release_if_over(task.uid, wishes.group);
    if (!wishes.group.empty()) groups_[{task.uid, wishes.group}].members.insert(number);
    if (wishes.time_to_live > Duration{}) wishes.expires_at = now_ + wishes.time_to_live;
    if (wishes.deadline > Duration{}) wishes.deadline_at = now_ + wishes.deadline;
  }
  handle(Retry{std::move(record)});
}

void Simulation::tell_children(Sequence number, bool succeeded) {
  tasks_[number].ended_well = succeeded;
  const auto at = children_.find(number);
  if (at == children_.end()) return;
  for (const auto& [child, however] : at->second) {
    Known& task = tasks_[child];
    if (!task.wishes || task.wishes->open_parents == 0) continue;  // tried again without its parents
    --task.wishes->open_parents;
    if (!succeeded && !however && task.wishes->cancel_with_parent) task.wishes->doomed = true;
  }
  children_.erase(at);
}

void Simulation::judge_start(Sequence number, Known& task) {
  const bool first = !std::exchange(task.started, true);
  task.started_at = now_;
  task.timed_out = false;
  task.said = OutcomeKind::unspecified;
  if (core_.state().pools[task.pool].settings.rate)
    check_rate(pool_starts_[task.pool], core_.state().pools[task.pool].settings.rate,
               "a pool starts too fast");
  if (!task.wishes) return;
  const Wishes& wishes = *task.wishes;
  require_task(now_ >= wishes.not_before, number, "begins before its time");
  require_task(!first || now_ < wishes.expires_at, number, "begins after it has expired");
  require_task(now_ < wishes.deadline_at, number, "begins after its deadline");
  require_task(!wishes.held, number, "begins while it is held");
  require_task(wishes.open_parents == 0, number, "begins before its parents have ended");
  require_task(!wishes.waits_for_group, number, "begins before its group has ended");
  require_task(!wishes.doomed, number, "begins and should have gone with its parent");
  take_tokens(number, task);
}

void Simulation::leave_attempt(Known& task) {
  task.on.reset();
  for (const auto& [name, tokens] : task.taken) limits_[name].used -= tokens;
  task.taken.clear();
  task.timed_out = false;
}

bool Simulation::may_repeat(const Known& task, OutcomeKind kind) const {
  if (stopping_ || kind == OutcomeKind::rejected || task.failures >= task.attempts_max) return false;
  return !task.wishes || task.wishes->retry_on.matches(kind, task.said_code);
}

void Simulation::judge_end(const Finished& promise, const Known& task) {
  const Sequence number = promise.task.sequence();
  const OutcomeKind kind = promise.kind;
  const bool cancelled = promise.task.state == TaskState::cancelled;
  require_task(!task.timed_out || cancelled || kind == OutcomeKind::timed_out, number,
               "ran out of time and is not TIMED_OUT");
  const bool late = task.wishes && now_ >= task.wishes->deadline_at;
  if (kind == OutcomeKind::timed_out)
    require_task(task.timed_out || late || task.said == kind, number, "is TIMED_OUT and had time");
  if (kind == OutcomeKind::expired)
    require_task(task.wishes && !task.started && now_ >= task.wishes->expires_at, number,
                 "is EXPIRED and had time");
  // A failure of its own ends a task that may not be tried again.
  const bool own = promise.task.state == TaskState::failed && kind != OutcomeKind::worker_lost && task.on;
  if (!own) return;
  Known after = task;
  ++after.failures;
  const bool has_deadline = task.wishes && task.wishes->deadline_at != Time::max();
  require_task(has_deadline || !may_repeat(after, kind), number, "had attempts left");
}

void Simulation::judge_repeat(const AttemptEnded& promise, Known& task) {
  if (promise.kind == OutcomeKind::worker_lost) return;
  require_task(!task.timed_out || promise.kind == OutcomeKind::timed_out, promise.task,
               "ran out of time and is tried again for another reason");
  ++task.failures;
  // A stop may have come later in the same turn.
  require_task(stopping_ || may_repeat(task, promise.kind), promise.task, "is tried again and should not be");
  if (!task.wishes || task.wishes->backoff == Duration{}) return;
  Duration delay = task.wishes->backoff;
  for (std::uint32_t failure = 1; failure < task.failures; ++failure) delay *= 2;
  task.wishes->not_before = now_ + std::min(delay, task.wishes->backoff_max) / 2;
}

// Deadlines have just been served: nothing may be there whose time is over.
void Simulation::judge_late_tasks() {
  for (const auto& [place, worker] : workers_) {
    for (const Held& held : worker.held) {
      const Known& task = known(held.task);
      if (!task.wishes || task.on != worker.ref || task.timed_out || task.cancelled) continue;
      const bool over = task.wishes->timeout > Duration{} && now_ >= task.started_at + task.wishes->timeout;
      require_task(!over && now_ < task.wishes->deadline_at, held.task, "runs on though its time is over");
    }
  }
}

}  // namespace poold::sim
