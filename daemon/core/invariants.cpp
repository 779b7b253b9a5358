// What must always hold, derived again from the tables. Tests and the simulator call it after every event.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/core.hpp"

namespace poold::core {
namespace {

// Collects the first complaint, and the tasks seen on the way.
class Finding {
 public:
  void enter(std::string_view pool) { pool_ = pool, number_ = no_slot; }
  void enter(std::uint32_t number) { number_ = number; }
  void check(bool holds, const char* what) {
    if (holds || !text_.empty()) return;
    text_ = std::string(pool_) + (number_ == no_slot ? "" : "/" + std::to_string(number_)) + ": " + what;
  }
  void see(const Task& task) { seen_.push_back(task.sequence()); }
  // How many tasks were seen, each in one place.
  std::size_t finish_seeing() {
    std::ranges::sort(seen_);
    check(std::ranges::adjacent_find(seen_) == seen_.end(), "a task is in two places");
    return seen_.size();
  }
  const std::string& text() const { return text_; }

 private:
  std::string_view pool_;
  std::uint32_t number_ = no_slot;
  std::vector<Sequence> seen_;
  std::string text_;
};

void check_held(const Slot& slot, PoolIndex index, std::uint32_t number, Finding& finding) {
  std::uint32_t count = 0;
  for (const Task* task = slot.held.front(); task; task = task->next, ++count) {
    finding.see(*task);
    finding.check(task->state == TaskState::running, "a held task is not RUNNING");
    finding.check(task->pool == index && task->slot == number && task->generation == slot.generation,
                  "a held task points elsewhere");
    finding.check(task->attempt >= 1 && task->attempt == task->failures + task->crashes + 1,
                  "attempts are not numbered without gaps");
  }
  finding.check(count == slot.held.size(), "held list miscounted");
  switch (slot.state) {
    case WorkerState::vacant:
    case WorkerState::starting:
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
  finding.check(slot.removed == (number >= pool.size), "a slot does not know whether it is part of the pool");
  finding.check(!slot.outdated || pool.recycling, "an outdated worker that nobody will replace");
}

void check_queue(const Pool& pool, PoolIndex index, Finding& finding) {
  std::uint32_t count = 0;
  pool.queue.each([&](const Task& task) {
    ++count;
    finding.see(task);
    finding.check(task.state == TaskState::queued, "a queued task is not QUEUED");
    finding.check(task.pool == index && task.slot == no_slot, "a queued task points elsewhere");
    finding.check(task.attempt == task.failures + task.crashes, "attempts have a gap");
    finding.check(task.attempt == 0 || task.crashes < task.crash_attempts_max, "poison is queued");
    finding.check(!task.cancelling, "a cancelled task is queued again");
    finding.check(!task.returning, "a queued task was asked back");
  });
  finding.check(count == pool.queue.size(), "queue miscounted");
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
  finding.check(pool.slots.size() >= pool.size, "there are fewer slots than the pool is large");
  finding.check(!state.stopping || pool.queue.empty(), "a queue outlives the stop");
  finding.check(std::ranges::count(state.dirty, index) == (pool.dirty ? 1 : 0),
                "the list of changed pools is wrong");
  finding.check(!pool.attend || pool.dirty, "processes that nobody would look at");
  const auto named = state.pool_names.find(pool.settings.name);
  finding.check(named != state.pool_names.end() && named->second == index, "name lost");
}

}  // namespace

std::string broken_invariant(const State& state) {
  Finding finding;
  for (PoolIndex index = 0; index < state.pools.size(); ++index) check_pool(state, index, finding);
  finding.enter("tables");
  finding.check(finding.finish_seeing() == state.tasks.size(), "a task is in the table and nowhere else");
  state.tasks.each([&](const Task& task) {
    finding.check(state.tasks.find(task.sequence()) == &task, "the index does not find a task");
    if (!task.key) return true;
    const auto key = state.keys.find(*task.key);
    finding.check(key != state.keys.end() && key->second.id == task.id, "a key does not lead to its task");
    return true;
  });
  return finding.text();
}

}  // namespace poold::core
