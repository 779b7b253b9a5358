// What must always hold, derived again from the tables. Tests and the simulator call it after every event, so
// that it looks at each thing once: a task's own fields say in which list it has to be, so a task that every
// list agrees about is in one place.
#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/core.hpp"

namespace poold::core {
namespace {

// The first complaint, and how much was seen on the way.
class Finding {
 public:
  explicit Finding(const State& state) : state_(state) {}
  void enter(std::string_view pool) { pool_ = pool, number_ = no_slot; }
  void enter(std::uint32_t number) { number_ = number; }
  void check(bool holds, const char* what) {
    if (holds || !text_.empty()) [[likely]]
      return;
    text_ = std::string(pool_) + (number_ == no_slot ? "" : "/" + std::to_string(number_)) + ": " + what;
  }
  // Every task, where it stands.
  void see(const Task& task);
  std::size_t seen() const { return seen_; }
  std::size_t timers() const { return timers_; }
  // Those seen that name limits.
  const std::vector<const Task*>& limited() const { return limited_; }
  // Those seen that belong to a group, and those that wait for one.
  const std::vector<const Task*>& grouped() const { return grouped_; }
  const std::string& text() const { return text_; }

 private:
  void check_options(const Task& task);

  const State& state_;
  std::string_view pool_;
  std::uint32_t number_ = no_slot;
  std::size_t seen_ = 0, timers_ = 0;
  std::vector<const Task*> limited_, grouped_;
  std::string text_;
};

void Finding::see(const Task& task) {
  ++seen_;
  check(state_.tasks.find(task.sequence()) == &task, "the index does not find a task");
  check((!task.previous || task.previous->next == &task) && (!task.next || task.next->previous == &task),
        "a task's neighbours do not know it");
  if (task.key) {
    const auto key = state_.keys.find(*task.key);
    check(key != state_.keys.end() && key->second.id == task.id, "a key does not lead to its task");
  }
  const std::uint32_t before = task.options ? task.options->attempts_before : 0;
  const std::uint32_t running = task.state == TaskState::running ? 1 : 0;
  check(task.attempt == before + task.failures + task.crashes + task.uncharged + running,
        "attempts are not numbered without gaps");
  if (task.options) check_options(task);
}

void Finding::check_options(const Task& task) {
  const TaskOptions& options = *task.options;
  if (options.due != Time::max()) {
    ++timers_;
    check(state_.task_timers.holds(task), "a task's timer is lost");
  }
  const bool running = task.state == TaskState::running;
  check(running || !options.timing_out, "a task that does not run is timed out");
  check((options.parked_at != nullptr) <= (task.state == TaskState::waiting), "a parked task does not wait");
  check((options.offered_by != nullptr) <= (task.state == TaskState::queued), "an offer to nobody");
  if (!options.limits.empty()) limited_.push_back(&task);
  if (!options.group.empty() || !options.after_group.empty()) grouped_.push_back(&task);
  for (const LimitUse& use : options.limits) {
    const auto limit = state_.limits.find(use.name);
    check(limit != state_.limits.end() && limit->second.get() == use.limit, "a task's limit is another one");
    check(running || use.taken == 0, "a task holds tokens and does not run");
  }
  for (const Parent& parent : options.parents) {
    check(task.state == TaskState::waiting && !options.parked_at, "a task does not wait for its parent");
    const auto children = state_.children.find(parent.task);
    check(children != state_.children.end() &&
              std::ranges::find(children->second, task.sequence()) != children->second.end(),
          "a parent does not know its child");
    check(state_.tasks.find(parent.task) != nullptr, "a task waits for one that is over");
  }
}

void check_held(const Slot& slot, PoolIndex index, std::uint32_t number, Finding& finding) {
  std::uint32_t count = 0;
  for (const Task* task = slot.held.front(); task; task = task->next, ++count) {
    finding.see(*task);
    finding.check(task->state == TaskState::running, "a held task is not RUNNING");
    finding.check(task->pool == index && task->slot == number && task->generation == slot.generation,
                  "a held task points elsewhere");
    finding.check(task->attempt >= 1, "a held task has no attempt");
  }
  finding.check(count == slot.held.size(), "held list miscounted");
  switch (slot.state) {
    case WorkerState::vacant:
    case WorkerState::starting:
      finding.check(count == 0 || slot.adopted, "a worker that has said nothing holds a task");
      break;
    case WorkerState::idle:
      finding.check(count == 0, "a worker without work holds a task");
      break;
    case WorkerState::busy:
      finding.check(count > 0, "a busy worker holds nothing");
      break;
    case WorkerState::retiring:
    case WorkerState::stopping:
      break;
  }
}

void check_slot(const Pool& pool, std::uint32_t number, Finding& finding) {
  const Slot& slot = pool.slots[number];
  const bool vacant = slot.state == WorkerState::vacant;
  finding.check(!slot.start_requested || vacant, "a start over a living process");
  finding.check((slot.pid != 0) == !vacant, "pid and state disagree");
  const bool ready = slot.state == WorkerState::idle || slot.state == WorkerState::busy;
  finding.check(!ready || slot.hello, "ready without a hello");
  finding.check((slot.state == WorkerState::stopping) == (slot.stop_reason != StopReason::none),
                "stopping without a reason");
  finding.check(slot.state != WorkerState::idle || slot.in_idle, "an idle worker that nobody would find");
  finding.check(std::ranges::count(pool.idle, number) == (slot.in_idle ? 1 : 0), "the idle list is wrong");
  const std::uint32_t slots = pool.size + (pool.surge ? 1 : 0);
  finding.check(slot.removed == (number >= slots), "a slot does not know whether it is part of the pool");
  finding.check(!slot.outdated || pool.recycling, "an outdated worker that nobody will replace");
}

// A task that does not run.
void check_pending(const Task& task, PoolIndex index, Finding& finding) {
  finding.see(task);
  finding.check(task.pool == index && task.slot == no_slot, "a task that does not run points elsewhere");
  finding.check(task.crashes == 0 || task.crashes < task.crash_attempts_max, "poison is tried again");
  finding.check(!task.cancelling && !task.interrupted, "a task that was asked to end is tried again");
  finding.check(!task.returning, "a task that does not run was asked back");
}

void check_queue(const Pool& pool, PoolIndex index, Finding& finding) {
  std::uint32_t count = 0;
  pool.queue.each([&](const Task& task) {
    ++count;
    check_pending(task, index, finding);
    finding.check(task.state == TaskState::queued, "a queued task is not QUEUED");
    finding.check(!task.options || (!task.options->held && task.options->parents.empty()),
                  "a task that must wait is queued");
  });
  finding.check(count == pool.queue.size(), "queue miscounted");
  count = 0;
  for (const Task* task = pool.waiting.front(); task; task = task->next, ++count) {
    check_pending(*task, index, finding);
    finding.check(task->state == TaskState::waiting && task->options && !task->options->parked_at,
                  "a task waits that is not WAITING");
  }
  finding.check(count == pool.waiting.size(), "those who wait are miscounted");
}

void check_pool(const State& state, PoolIndex index, Finding& finding) {
  const Pool& pool = state.pools[index];
  finding.enter(pool.settings.name);
  check_queue(pool, index, finding);
  std::uint32_t held = 0;
  for (std::uint32_t number = 0; number < pool.slots.size(); ++number) {
    finding.enter(number);
    check_held(pool.slots[number], index, number, finding);
    check_slot(pool, number, finding);
    held += pool.slots[number].held.size();
  }
  finding.enter(pool.settings.name);
  finding.check(held == pool.running, "running miscounted");
  finding.check(pool.slots.size() >= pool.size + (pool.surge ? 1 : 0),
                "there are fewer slots than the pool is large");
  finding.check(pool.min <= pool.size, "a pool's least number is above its largest");
  const auto closed =
      std::ranges::count_if(pool.slots, [](const Slot& slot) { return slot.closed && !slot.removed; });
  finding.check(static_cast<std::size_t>(closed) <= pool.size - pool.min,
                "a pool has fewer slots open than its least number");
  finding.check(!state.stopping || pool.settings.durable || pool.pending() == 0, "a queue outlives the stop");
  finding.check(std::ranges::count(state.dirty, index) == (pool.dirty ? 1 : 0),
                "the list of changed pools is wrong");
  finding.check(!pool.attend || pool.dirty, "processes that nobody would look at");
  const auto named = state.pool_names.find(pool.settings.name);
  finding.check(named != state.pool_names.end() && named->second == index, "name lost");
}

// What the tasks of a limit add up to.
struct LimitSum {
  std::uint32_t users = 0, used = 0;
  std::map<PoolIndex, std::pair<std::uint32_t, std::uint32_t>> offered;  // tokens, and to how many
};

void check_limit(const State& state, const Limit& limit, const LimitSum& sum, Finding& finding) {
  finding.enter(limit.settings.name);
  finding.check(limit.users == sum.users, "a limit's tasks are miscounted");
  finding.check(limit.used == sum.used, "a limit's tokens are miscounted");
  finding.check(limit.set || limit.users > 0, "a limit that nobody needs");
  finding.check(state.limit_numbers.contains(limit.number), "a limit that no timer would find");
  for (const auto& [index, parked] : limit.parked) {
    const auto offered = sum.offered.find(index);
    const auto [tokens, starts] = offered == sum.offered.end() ? std::pair(0u, 0u) : offered->second;
    finding.check(parked.offered == tokens && parked.offered_starts == starts, "offers are miscounted");
  }
}

void check_parked(const State& state, Finding& finding) {
  std::vector<std::uint32_t> parked(state.pools.size());
  for (const auto& [name, limit] : state.limits) {
    finding.enter(name);
    for (const auto& [index, its] : limit->parked) {
      std::uint32_t count = 0;
      its.queue.each([&, pool = index, at = limit.get()](const Task& task) {
        ++count;
        check_pending(task, pool, finding);
        finding.check(task.state == TaskState::waiting && task.options && task.options->parked_at == at,
                      "a task is parked that does not know it");
      });
      finding.check(count == its.queue.size(), "a limit's list is miscounted");
      parked[index] += count;
    }
  }
  for (PoolIndex index = 0; index < state.pools.size(); ++index)
    finding.check(parked[index] == state.pools[index].parked, "a pool's parked tasks are miscounted");
}

void check_limits(const State& state, Finding& finding) {
  check_parked(state, finding);
  std::map<const Limit*, LimitSum> sums;
  for (const Task* task : finding.limited()) {
    for (const LimitUse& use : task->options->limits) {
      LimitSum& sum = sums[use.limit];
      ++sum.users;
      sum.used += use.taken;
    }
    if (const Limit* limit = task->options->offered_by) {
      auto& [tokens, starts] = sums[limit].offered[task->pool];
      tokens += task->options->offered;
      ++starts;
    }
  }
  for (const auto& [name, limit] : state.limits) check_limit(state, *limit, sums[limit.get()], finding);
}

struct GroupSum {
  std::array<std::uint32_t, 6> counts{};
  std::size_t completions = 0;
};

void check_groups(const State& state, Finding& finding) {
  finding.enter("groups");
  std::map<GroupKey, GroupSum> sums;
  for (const Task* task : finding.grouped()) {
    const TaskOptions& options = *task->options;
    finding.check((options.in_group != nullptr) == !options.group.empty(), "a task's group is lost");
    if (options.in_group) {
      const GroupKey key{task->uid, options.group};
      finding.check(options.in_group->key == key, "a task's group is another one");
      ++sums[key].counts[static_cast<std::size_t>(task->state)];
    }
    if (options.after_group.empty()) continue;
    const auto group = state.groups.find({task->uid, options.after_group});
    finding.check(task->state == TaskState::waiting && !options.parked_at, "a completion does not wait");
    finding.check(group != state.groups.end() && group->second->unfinished() > 0,
                  "a completion waits for a group that is over");
    if (group == state.groups.end()) continue;
    const auto& completions = group->second->completions;
    finding.check(std::ranges::count(completions, task->sequence()) == 1, "a group lost its completion");
    ++sums[group->first].completions;
  }
  for (const auto& [key, group] : state.groups) {
    finding.enter(key.second);
    const GroupSum& sum = sums[key];
    for (const TaskState live : {TaskState::waiting, TaskState::queued, TaskState::running})
      finding.check(group->count(live) == sum.counts[static_cast<std::size_t>(live)],
                    "a group is miscounted");
    finding.check(group->completions.size() == sum.completions, "a group's completions are miscounted");
    finding.check(group->known() > 0, "a group that nobody needs");
    sums.erase(key);
  }
  finding.check(sums.empty(), "a task belongs to a group that is not there");
}

}  // namespace

std::string broken_invariant(const State& state) {
  Finding finding(state);
  for (PoolIndex index = 0; index < state.pools.size(); ++index) check_pool(state, index, finding);
  check_limits(state, finding);
  check_groups(state, finding);
  finding.enter("tables");
  finding.check(finding.seen() == state.tasks.size(), "a task is in the table and nowhere else");
  finding.check(finding.timers() == state.task_timers.size(), "a timer of a task that is over");
  finding.check(state.ended_groups.empty(), "completions have not been told of their group's end");
  finding.check(state.ended_parents.empty(), "children have not been told of their parent's end");
  return finding.text();
}

}  // namespace poold::core
