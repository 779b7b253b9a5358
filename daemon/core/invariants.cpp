// What must always hold, derived again from the tables. Tests and the simulator call it after every event.
#include <set>
#include <string>

#include "daemon/core/core.hpp"

namespace poold::core {
namespace {

// Collects the first complaint.
class Finding {
 public:
  void check(bool holds, const std::string& what) {
    if (!holds && text_.empty()) text_ = what;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void check_held(const Pool& pool, PoolIndex index, std::uint32_t number, std::set<Sequence>& seen, Finding& finding) {
  const Slot& slot = pool.slots[number];
  const std::string where = pool.settings.name + "/" + std::to_string(number) + ": ";
  std::uint32_t count = 0;
  for (const Task* task = slot.held.front(); task; task = task->next, ++count) {
    finding.check(seen.insert(task->sequence()).second, where + "a task is in two places");
    finding.check(task->state == TaskState::running, where + "a held task is not RUNNING");
    finding.check(task->pool == index && task->slot == number && task->generation == slot.generation,
                  where + "a held task points elsewhere");
    finding.check(task->attempt >= 1 && task->attempt == task->failures + task->crashes + 1,
                  where + "attempts are not numbered without gaps");
  }
  finding.check(count == slot.held.size(), where + "held list miscounted");
  switch (slot.state) {
    case WorkerState::vacant:
    case WorkerState::starting:
    case WorkerState::idle: finding.check(count == 0, where + "a worker without work holds a task"); break;
    case WorkerState::busy: finding.check(count > 0, where + "a busy worker holds nothing"); break;
    case WorkerState::retiring:
    case WorkerState::stopping: break;
  }
  finding.check(!slot.start_requested || slot.state == WorkerState::vacant, where + "a start over a living process");
  finding.check((slot.pid != 0) == (slot.state != WorkerState::vacant), where + "pid and state disagree");
  const bool ready = slot.state == WorkerState::idle || slot.state == WorkerState::busy;
  finding.check(!ready || slot.hello, where + "ready without a hello");
  finding.check(slot.state != WorkerState::idle || slot.in_idle, where + "an idle worker that nobody would find");
}

void check_queue(const Pool& pool, PoolIndex index, std::set<Sequence>& seen, Finding& finding) {
  std::uint32_t count = 0;
  pool.queue.each([&](const Task& task) {
    ++count;
    finding.check(seen.insert(task.sequence()).second, pool.settings.name + ": a task is in two places");
    finding.check(task.state == TaskState::queued, pool.settings.name + ": a queued task is not QUEUED");
    finding.check(task.pool == index && task.slot == no_slot, pool.settings.name + ": a queued task points elsewhere");
    finding.check(task.attempt == task.failures + task.crashes, pool.settings.name + ": attempts have a gap");
    finding.check(task.attempt == 0 || task.crashes < task.crash_attempts_max, pool.settings.name + ": poison is queued");
    finding.check(!task.cancelling, pool.settings.name + ": a cancelled task is queued again");
  });
  finding.check(count == pool.queue.size(), pool.settings.name + ": queue miscounted");
}

}  // namespace

std::string broken_invariant(const State& state) {
  Finding finding;
  std::set<Sequence> seen;
  for (PoolIndex index = 0; index < state.pools.size(); ++index) {
    const Pool& pool = state.pools[index];
    check_queue(pool, index, seen, finding);
    std::uint32_t held = 0;
    for (std::uint32_t number = 0; number < pool.slots.size(); ++number) {
      check_held(pool, index, number, seen, finding);
      held += pool.slots[number].held.size();
    }
    finding.check(held == pool.running, pool.settings.name + ": running miscounted");
    finding.check(!state.stopping || pool.queue.empty(), pool.settings.name + ": a queue outlives the stop");
    const auto named = state.pool_names.find(pool.settings.name);
    finding.check(named != state.pool_names.end() && named->second == index, pool.settings.name + ": name lost");
  }
  finding.check(seen.size() == state.tasks.size(), "a task is in the table and nowhere else");
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
