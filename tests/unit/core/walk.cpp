// The turns of a random walk, and the model that judges them. What happens next is chosen in
// walk_choices.cpp.
#include "tests/unit/core/walk.hpp"

#include <algorithm>

#include "common/overloaded.hpp"
#include "tests/unit/core/record.hpp"
#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

std::string text(Sequence number) { return "task " + std::to_string(number); }

}  // namespace

Walk::Walk(std::uint64_t seed) : random_(seed), now_(Time{} + 1h) {
  fast_ = random_.chance(50);
  reconfigure();
  end_turn();
  if (fast_) warm_up();
}

void Walk::require(bool holds, const std::string& what) {
  if (!holds && complaint_.empty()) complaint_ = what;
}

std::string Walk::report() const {
  std::string report = complaint_ + "\njust before:\n";
  const std::size_t shown = std::min<std::size_t>(record_.size(), 60);
  for (std::size_t i = record_.size() - shown; i < record_.size(); ++i) report += "  " + record_[i] + "\n";
  return report;
}

void Walk::handle(Event&& event) {
  record_.push_back("event " + std::to_string(event.index()));
  core_.handle(std::move(event), now_, step_);
  const std::string broken = broken_invariant(core_.state());
  require(broken.empty(), "after an event: " + broken);
}

void Walk::end_turn() {
  core_.schedule(now_, step_);
  const std::string broken = broken_invariant(core_.state());
  require(broken.empty(), "after schedule(): " + broken);
  for (const Effect& effect : step_.now) {
    record_.push_back(line(core_.state(), effect));
    perform(effect);
  }
  for (const Promise& promise : step_.promises) {
    record_.push_back(line(core_.state(), promise));
    perform(promise);
  }
  step_.clear();
  gone_.clear();
  for (const Pool& pool : core_.state().pools) {
    if (pool.paused || stopping_ || pool.queue.empty()) continue;
    for (const Slot& slot : pool.slots)
      require(slot.state != WorkerState::idle, "a task waits while a worker idles");
  }
}

// Everything that is sent to a worker is sent to one that is there, or was when this turn began.
Walk::Worker& Walk::receiver(WorkerRef ref) {
  static Worker nobody;
  nobody = Worker();
  nobody.hello = true;
  const auto at = workers_.find({ref.pool, ref.slot});
  const bool there = at != workers_.end() && at->second.ref == ref;
  require(there || gone_.contains(ref), "something is sent to a worker that is gone");
  return there ? at->second : nobody;
}

void Walk::perform(const Effect& effect) {
  const auto visitor = Overloaded{
      [&](const StartWorker& e) {
        require(!stopping_, "a worker is started after the stop");
        require(!workers_.contains({e.pool, e.slot}), "a worker is started over a living one");
        require(starting_.insert({e.pool, e.slot}).second, "a worker is started twice");
      },
      [&](const SignalWorker& e) {
        Worker& worker = receiver(e.worker);
        require(e.signal == 9 && !std::exchange(worker.killed, true), "a worker is killed twice");
      },
      [&](const StopWorker& e) {
        Worker& worker = receiver(e.worker);
        require(worker.hello && !worker.killed, "a worker is told to stop that cannot be");
        require(!std::exchange(worker.told_to_stop, true), "a worker is told to stop twice");
      },
      [&](const ReturnTasks& e) { asked_back(e); },
      [&](const CancelAttempt& e) { cancelled(e); },
      [&](const SignalAttempt& e) {
        require(tasks_[e.task].on == e.worker, text(e.task) + " is signalled elsewhere");
      },
      [&](const PoolThrottled& e) {
        require(e.delay >= 100ms && e.delay <= 30s, "a throttle without measure");
      },
      [&](const PoolHealed&) {},
      [&](const WorkerCondemned&) {},
      [&](const StopComplete&) {
        require(stopping_ && ++stop_completes_ == 1, "the stop is complete twice");
        require(workers_.empty() && starting_.empty(), "the stop is complete and processes are there");
      },
  };
  std::visit(visitor, effect);
}

void Walk::asked_back(const ReturnTasks& effect) {
  Worker& worker = receiver(effect.worker);
  require(!effect.tasks.empty(), "a worker is asked for nothing");
  for (const Sequence task : effect.tasks)
    require(tasks_[task].on == effect.worker, text(task) + " is asked back from another worker");
  worker.asked_back = effect.tasks;
}

void Walk::cancelled(const CancelAttempt& effect) {
  Known& task = tasks_[effect.task];
  if (stopping_) task.cancelled = true;  // the stop's time-out did it
  require(task.cancelled && task.on == effect.worker, text(effect.task) + " is cancelled elsewhere");
  receiver(effect.worker).cancelled.insert(effect.task);
}

void Walk::perform(const Promise& promise) {
  const auto visitor = Overloaded{
      [&](const Accepted& e) {
        if (e.duplicate) return;
        ++accepted_;
        Known& task = tasks_[sequence_of(e.id)];
        require(task.id.low == 0, "a task is accepted twice");
        task.id = e.id;
      },
      [&](const Refused&) {},
      [&](const Dispatch& e) { dispatched(e); },
      [&](const Finished& e) { finished(e); },
      [&](const AttemptEnded& e) { attempt_ended(e); },
  };
  std::visit(visitor, promise);
}

void Walk::dispatched(const Dispatch& promise) {
  const std::string name = text(promise.task);
  Known& task = tasks_[promise.task];
  require(task.id.low != 0 && !task.finished, name + " is sent and is none");
  require(!task.cancelled, name + " is sent after it was cancelled");
  require(!task.on, name + " runs already");
  task.on = promise.worker;
  gone_.clear();  // the schedule comes after all events
  Worker& to = receiver(promise.worker);
  require(to.hello && !to.told_to_stop && !to.killed && !to.closed,
          name + " is sent to a worker that leaves");
  const Task* found = core_.state().tasks.find(promise.task);
  require(found && found->attempt == task.attempts_ended + 1, name + " has a gap in its attempts");
  to.held.push_back({promise.task, task.attempts_ended + 1});
}

void Walk::finished(const Finished& promise) {
  const Sequence number = promise.task.sequence();
  const TaskState state = promise.task.state;
  Known& task = tasks_[number];
  require(task.id == promise.task.id && !task.finished, text(number) + " ends twice");
  ++finished_;
  task.finished = true;
  task.on.reset();
  require(!task.cancelled || state == TaskState::cancelled,
          text(number) + " was cancelled and is not CANCELLED");
  require(task.cancelled || stopping_ || state != TaskState::cancelled,
          text(number) + " is CANCELLED by nobody");
  require(state != TaskState::succeeded || task.succeeded, text(number) + " SUCCEEDED by nobody's word");
  require(promise.kind != OutcomeKind::worker_lost || stopping_ ||
              promise.task.crashes == promise.task.crash_attempts_max,
          text(number) + " had crash attempts left");
}

void Walk::attempt_ended(const AttemptEnded& promise) {
  Known& task = tasks_[promise.task];
  require(task.on.has_value() && !task.finished,
          text(promise.task) + " ends an attempt that it does not have");
  task.on.reset();
  require(promise.attempt == task.attempts_ended + 1, text(promise.task) + " ends an attempt out of order");
  if (promise.kind != OutcomeKind::unspecified) ++task.attempts_ended;
}

void Walk::ring() {
  now_ = std::max(now_, core_.next_deadline());
  handle(TimePassed{});
  require(core_.next_deadline() > now_, "a deadline that was served is still there");
}

void Walk::stumble(int turns) {
  for (int turn = 0; turn < turns && !failed(); ++turn) {
    for (auto events = 1 + random_.below(3); events-- > 0;) choose();
    end_turn();
    advance();
  }
}

bool Walk::one_honest_step() {
  if (!starting_.empty()) {
    start_succeeds(*starting_.begin());
    return true;
  }
  bool done = false;
  for (auto at = workers_.begin(); at != workers_.end();) {
    const Place place = at->first;
    Worker& worker = (at++)->second;  // it may exit
    if (worker.killed || worker.closed || worker.forgetful) {
      exits(place, true, 9);
      done = true;
    } else if (work_honestly(worker)) {
      done = true;
    }
  }
  return done;
}

void Walk::settle() {
  for (PoolIndex index = 0; index < core_.state().pools.size(); ++index) {
    handle(ResumePool{index});
    if (core_.state().pools[index].size == 0) handle(ScalePool{index, 1});
  }
  end_turn();
  for (int round = 0; !failed(); ++round) {
    require(round < 5000, "it does not come to rest");
    if (!one_honest_step()) {
      if (core_.next_deadline() == Time::max()) break;
      ring();
    }
    end_turn();
    now_ += 1us;
  }
  require(accepted_ == finished_,
          "accepted " + std::to_string(accepted_) + ", finished " + std::to_string(finished_));
  require(core_.state().tasks.size() == 0, "tasks are left");
  for (const Pool& pool : core_.state().pools) {
    const std::uint32_t expected = pool.removed || stopping_ ? 0 : pool.size;
    require(ready_workers(pool) == expected, pool.settings.name + " has not the workers it should have");
    require(live_processes(pool) == expected, pool.settings.name + " has processes that it should not have");
    require(stopping_ || !pool.throttled(), pool.settings.name + " is throttled for ever");
    require(!pool.recycling || expected == 0, pool.settings.name + " recycles for ever");
  }
}

void Walk::stop() {
  stopping_ = true;
  handle(StopAll{random_.chance(50) ? Duration(1s) : Duration(0)});
  settle();
  require(stop_completes_ == 1, "the stop does not complete");
}

}  // namespace poold::core
