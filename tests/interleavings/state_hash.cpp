// What matters of a state for what can follow: times as they are from now on, not as they were.
#include <algorithm>
#include <tuple>
#include <vector>

#include "tests/interleavings/world.hpp"

namespace poold::interleavings {
namespace {

class Hash {
 public:
  void mix(std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9fb21c651e98df25;
    hash_ ^= hash_ >> 33;
  }
  void mix(Time time, Time now) {
    mix(time == Time::max() ? ~std::uint64_t{0} : static_cast<std::uint64_t>((time - now).count()));
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

void mix_task(Hash& hash, const Task& task, Time now) {
  hash.mix(task.sequence());
  for (const auto value : {task.attempt, task.failures, task.crashes, task.uncharged, task.slot,
                           task.generation, static_cast<std::uint32_t>(task.state)})
    hash.mix(value);
  hash.mix(task.cancelling | task.returning << 1 | task.interrupted << 2);
  hash.mix(task.queued_at, now);
  if (!task.options) return;
  const TaskOptions& options = *task.options;
  hash.mix(options.due, now);
  hash.mix(options.expires_at, now);
  hash.mix(std::max(options.not_before, now), now);
  hash.mix(options.held | options.timing_out << 1 | (options.parked_at != nullptr) << 2 |
           (options.offered_by != nullptr) << 3);
  hash.mix(options.parents.size());
  for (const LimitUse& use : options.limits) hash.mix(use.taken);
}

void mix_slot(Hash& hash, const Slot& slot, Time now) {
  hash.mix(static_cast<std::uint64_t>(slot.state));
  hash.mix(slot.generation);
  hash.mix(slot.start_requested | slot.hello << 1 | slot.in_idle << 2 | slot.return_pending << 3 |
           slot.watch_armed << 4 | slot.outdated << 5);
  hash.mix(static_cast<std::uint64_t>(slot.stop_reason));
  hash.mix(slot.started_at, now);
  hash.mix(slot.head_since, now);
  hash.mix(std::max(slot.one_at_a_time_until, now), now);
  hash.mix(slot.finished);
  hash.mix(static_cast<std::uint64_t>(slot.measured.count()));
  hash.mix(slot.measured_count);
  for (const Task* task = slot.held.front(); task; task = task->next) hash.mix(task->sequence());
}

}  // namespace

std::uint64_t World::hash() const {
  Hash hash;
  const State& state = core_.state();
  const Pool& pool = state.pools[0];
  for (const Known& task : tasks_)
    hash.mix(task.submitted | task.cancelled << 1 | task.ended << 2 | task.told << 3 | task.well << 4 |
             task.runs << 5 | task.attempts << 6);
  hash.mix(starting_ | alive_ << 1 | said_hello_ << 2 | told_to_go_ << 3 | killed_ << 4 | start_failed_ << 5 |
           released_ << 6 | static_cast<unsigned>(events_in_turn_) << 7 | deaths_ << 10 |
           static_cast<unsigned>(submitted_) << 16);
  for (const Sequence task : holds_) hash.mix(task);
  hash.mix(asked_back_.size());
  for (Sequence number = first_; number < first_ + 2; ++number)
    if (const Task* task = state.tasks.find(number)) mix_task(hash, *task, now_);
  pool.queue.each([&](const Task& task) { hash.mix(task.sequence()); });
  hash.mix(~std::uint64_t{0});
  for (const auto& [name, limit] : state.limits) hash.mix(limit->used);
  mix_slot(hash, pool.slots[0], now_);
  hash.mix(pool.start_failures);
  hash.mix(pool.failures_before_hello);
  hash.mix(std::max(pool.throttled_until, now_), now_);
  hash.mix(static_cast<std::uint64_t>(pool.run_time.count()));
  // Timers in the order in which they ring.
  auto timers = state.timers;
  std::vector<std::tuple<Time, TimerKind, Sequence, std::uint32_t, Generation>> rings;
  for (; !timers.empty(); timers.pop()) {
    const Timer& timer = timers.top();
    rings.emplace_back(timer.at, timer.kind, timer.task, timer.attempt, timer.worker.generation);
  }
  std::ranges::sort(rings);
  for (const auto& [at, kind, task, attempt, generation] : rings) {
    hash.mix(at, now_);
    hash.mix(static_cast<std::uint64_t>(kind) << 48 ^ task << 16 ^ attempt << 8 ^ generation);
  }
  // What this turn has collected and not performed.
  hash.mix(step_.now.size() << 8 ^ step_.promises.size());
  for (const Effect& effect : step_.now) hash.mix(effect.index());
  for (const Promise& promise : step_.promises) {
    hash.mix(promise.index());
    if (const auto* e = std::get_if<AttemptEnded>(&promise))
      hash.mix(e->task << 16 ^ e->attempt << 8 ^ static_cast<std::uint64_t>(e->kind));
    if (const auto* e = std::get_if<Finished>(&promise))
      hash.mix(e->task.id.low << 8 ^ static_cast<std::uint64_t>(e->kind));
  }
  return hash.value();
}

}  // namespace poold::interleavings
