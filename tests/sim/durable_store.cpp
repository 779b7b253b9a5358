// The simulated store: what waits for a commit, in the engine's order, and what must be so once it is heard
// of.
#include <algorithm>
#include <iterator>

#include "common/overloaded.hpp"
#include "tests/sim/durable.hpp"

namespace poold::sim {

void DurableWorld::require(bool holds, Sequence task, const char* what) {
  if (!holds && complaint_.empty()) complaint_ = "durable: task " + std::to_string(task) + " " + what;
}

DurableWorld::Row DurableWorld::row_of(const Task& task, OutcomeKind kind, bool ended) const {
  Row row;
  row.id = task.id, row.pool = task.pool, row.priority = task.priority, row.uid = task.uid;
  row.attempts_max = task.attempts_max, row.crash_attempts_max = task.crash_attempts_max;
  if (task.key) {
    row.key = *task.key;
    row.digest = tasks_[task.sequence()].digest;
  }
  row.state = task.state, row.kind = kind, row.cancelling = task.cancelling, row.ended = ended;
  row.attempt = task.attempt, row.failures = task.failures, row.crashes = task.crashes;
  row.slot = task.last_slot, row.generation = task.generation, row.pid = task.last_pid;
  row.submitted_at = task.submitted_at, row.started_at = task.started_at;
  if (!task.options) return row;
  // As it was asked, and little of how it stands.
  TaskOptions& options = row.options.emplace();
  options.not_before = task.options->not_before;
  options.backoff = task.options->backoff;
  options.limits = task.options->limits;
  for (LimitUse& use : options.limits) use = {use.name, use.tokens};
  options.attempts_before = task.options->attempts_before;
  return row;
}

Task DurableWorld::task_of(const Row& row) const {
  Task task;
  task.id = row.id, task.pool = row.pool, task.priority = row.priority, task.uid = row.uid;
  task.attempts_max = row.attempts_max, task.crash_attempts_max = row.crash_attempts_max;
  if (row.key) task.key = std::make_unique<std::string>(*row.key);
  task.stored = true;
  task.state = row.state, task.cancelling = row.cancelling;
  task.attempt = row.attempt, task.failures = row.failures, task.crashes = row.crashes;
  task.last_slot = row.slot, task.generation = row.generation, task.last_pid = row.pid;
  task.submitted_at = row.submitted_at, task.started_at = row.started_at;
  if (row.options) task.options = std::make_unique<TaskOptions>(*row.options);
  return task;
}

// What is said to a worker waits behind the tasks that are on their way to it.
bool DurableWorld::waits_for_commit(const Effect& effect) {
  const WorkerRef* worker = nullptr;
  if (const auto* stop = std::get_if<StopWorker>(&effect)) worker = &stop->worker;
  if (const auto* back = std::get_if<ReturnTasks>(&effect)) worker = &back->worker;
  if (const auto* cancel = std::get_if<CancelAttempt>(&effect)) worker = &cancel->worker;
  if (!worker || withheld_.empty() || !durable(worker->pool)) return false;
  withheld_.back().effects.push_back(effect);
  return true;
}

void DurableWorld::withhold() {
  Batch batch;
  std::vector<Promise> promises = std::exchange(step_.promises, {});
  for (const Sequence number : std::exchange(step_.writes, {}))
    if (Task* task = core_.find_live(number)) {
      task->unsaved = false;
      task->stored = true;
      batch.rows.push_back(row_of(*task, OutcomeKind::unspecified, false));
    }
  std::vector<Promise> at_once;
  for (Promise& promise : promises) {
    trace_.promise(core_.state(), promise);
    const auto pool = std::visit(Overloaded{[](const Accepted& p) { return std::optional(p.pool); },
                                            [](const Refused&) { return std::optional<PoolIndex>(); },
                                            [](const Dispatch& p) { return std::optional(p.worker.pool); },
                                            [](const Finished& p) { return std::optional(p.task.pool); },
                                            [](const AttemptEnded& p) { return std::optional(p.pool); }},
                                 promise);
    if (const auto* ended = std::get_if<Finished>(&promise); ended && durable(ended->task.pool))
      batch.rows.push_back(row_of(ended->task, ended->kind, true));
    (pool && durable(*pool) ? batch.promises : at_once).push_back(std::move(promise));
  }
  for (const Sequence number : std::exchange(forgotten_, {}))
    if (const auto at = disk_.find(number); at != disk_.end()) {
      batch.rows.push_back(at->second);
      batch.rows.back().forgotten = true;
    }
  batch.acknowledgements = std::exchange(acknowledgements_, {});
  batch.cancels = std::exchange(cancels_, {});
  withheld_.push_back(std::move(batch));
  Batch& last = withheld_.back();
  if (last.rows.empty() && withheld_.size() > 1) {
    // Nothing of its own to wait for, but it must not overtake what waits.
    Batch& before = *std::prev(withheld_.end(), 2);
    std::ranges::move(last.promises, std::back_inserter(before.promises));
    std::ranges::move(last.acknowledgements, std::back_inserter(before.acknowledgements));
    std::ranges::move(last.cancels, std::back_inserter(before.cancels));
    withheld_.pop_back();
  } else if (last.rows.empty()) {
    commit(1);
  }
  for (Promise& promise : at_once) perform(promise);
}

// Its attempts are numbered one by one.
void DurableWorld::apply(const Row& row) {
  const Sequence number = sequence_of(row.id);
  if (row.forgotten) {
    disk_.erase(number);
    return;
  }
  const auto at = disk_.find(number);
  const std::uint32_t before = at == disk_.end() ? 0 : at->second.attempt;
  require(row.attempt <= before + 1, number, "has a gap in its attempts");
  require(at == disk_.end() || !at->second.ended, number, "is written after its end");
  require(row.attempt >= tasks_[number].acknowledged_attempt, number, "forgets an attempt that has ended");
  disk_[number] = row;
}

void DurableWorld::commit(std::size_t batches) {
  for (; batches > 0 && !withheld_.empty(); --batches) {
    Batch batch = std::move(withheld_.front());
    withheld_.pop_front();
    for (const Row& row : batch.rows) apply(row);
    for (const auto& [worker, task] : batch.acknowledgements) acknowledge(worker, task);
    for (Promise& promise : batch.promises) perform(promise);
    for (const Effect& effect : batch.effects) perform(effect);
    for (const Sequence number : batch.cancels) tasks_[number].cancel_answered = true;
    for (const Promise& promise : batch.promises) {
      const auto* ended = std::get_if<Finished>(&promise);
      if (!ended || unaccepted_.erase(ended->task.sequence()) == 0) continue;
      forgotten_.push_back(ended->task.sequence());
      let_go_.insert(ended->task.sequence());
      if (ended->task.key) handle(ForgetKey{*ended->task.key, ended->task.id});
    }
  }
}

void DurableWorld::acknowledge(WorkerRef ref, Sequence number) {
  Known& task = tasks_[number];
  Worker* worker = find(ref);
  if (!worker || worker->estranged) return;
  const auto kept = std::ranges::find(worker->kept, number, [](const Message& m) { return m.task(); });
  if (kept != worker->kept.end()) {
    const auto row = disk_.find(number);
    const bool settled = row == disk_.end() || row->second.ended || row->second.state != TaskState::running ||
                         row->second.attempt > kept->attempt;
    require(settled, number, "has a result acknowledged that is not on the disk");
    task.acknowledged_attempt = std::max(task.acknowledged_attempt, kept->attempt);
  }
  tell(*worker, {.frame = to_worker::ack, .tasks = {number}});
}

void DurableWorld::perform(Promise& promise) {
  const auto visitor = Overloaded{
      [&](const Accepted& p) { accepted(p); },
      [&](const Refused&) {},
      [&](const Dispatch& p) { dispatch(p); },
      [&](const Finished& p) { finished(p); },
      [](const AttemptEnded&) {},
  };
  std::visit(visitor, promise);
}

void DurableWorld::accepted(const Accepted& promise) {
  const Sequence number = sequence_of(promise.id);
  Known& task = tasks_[number];
  if (!task.durable) return;
  // Whoever repeats a key of what was refused meanwhile is refused as well.
  if (unaccepted_.contains(number) || let_go_.contains(number)) return;
  task.acknowledged = true;
  require(disk_.contains(number), number, "is acknowledged and not on the disk");
  if (!task.key) return;
  const auto [at, fresh] = keys_.try_emplace(*task.key, number, task.digest);
  require(fresh || at->second.first == number, number, "has the key of another task");
}

void DurableWorld::dispatch(const Dispatch& promise) {
  const Task* task = core_.state().tasks.find(promise.task);
  Worker* worker = find(promise.worker);
  if (!task || !worker || worker->estranged) return;
  if (unaccepted_.contains(promise.task))
    return handle(
        WorkerResult{promise.worker, promise.task, task->attempt, OutcomeKind::cancelled, 0, "cancelled"});
  const Known& known = tasks_[promise.task];
  if (known.durable) {
    const auto row = disk_.find(promise.task);
    require(row != disk_.end() && !row->second.ended && row->second.attempt == task->attempt, promise.task,
            "is sent and its attempt is not on the disk");
    require(!known.told, promise.task, "is sent after its end was told");
    require(!known.cancel_answered, promise.task, "is sent after its cancel was answered");
    require(task->attempt > known.acknowledged_attempt && task->attempt > known.attempts_done, promise.task,
            "is sent again for an attempt that has ended");
    for (const auto& [place, other] : workers_)
      require(std::ranges::find(other.held, promise.task, &Held::task) == other.held.end(), promise.task,
              "is sent while a worker has it");
  }
  tell(*worker, {.frame = to_worker::task, .tasks = {promise.task}, .attempt = task->attempt});
  core_.sent(promise.worker, promise.task, now_);
}

void DurableWorld::finished(const Finished& promise) {
  const Sequence number = promise.task.sequence();
  Known& task = tasks_[number];
  require(!task.told, number, "ends twice");
  task.told = promise.task.state;
  require(promise.task.state != TaskState::succeeded || task.succeeded, number, "SUCCEEDED by nobody's word");
  require(promise.task.state != TaskState::cancelled || task.cancel_asked || task.refused, number,
          "is CANCELLED by nobody");
  if (!task.durable) return;
  const auto row = disk_.find(number);
  require(row != disk_.end() && row->second.ended && row->second.state == *task.told, number,
          "is told to have ended, and the disk says otherwise");
  require(!task.cancel_answered || *task.told == TaskState::cancelled, number,
          "ends otherwise after its cancel was answered");
}

// The disk takes nothing: who waits for an answer to a submission gets a refusal.
void DurableWorld::trouble() {
  faults_.count(Fault::store_full);
  for (Batch& batch : withheld_) {
    std::erase_if(batch.promises, [&](const Promise& promise) {
      const auto* asked = std::get_if<Accepted>(&promise);
      if (!asked || asked->duplicate || !core_.find_live(sequence_of(asked->id))) return false;
      faults_.count(Fault::submission_unaccepted);
      unaccepted_.insert(sequence_of(asked->id));
      tasks_[sequence_of(asked->id)].refused = true;
      return true;
    });
  }
  for (const Sequence number : unaccepted_) handle(Cancel{number});
}

void DurableWorld::judge_disk() {
  for (Sequence number = 1; number <= last_; ++number) {
    const Known& task = tasks_[number];
    if (!task.durable || !task.acknowledged) continue;
    const auto row = disk_.find(number);
    require(row != disk_.end(), number, "was accepted and is lost");
    if (row == disk_.end()) continue;
    require(!task.told || (row->second.ended && row->second.state == *task.told), number,
            "had another outcome before the crash");
    require(!task.cancel_answered || row->second.cancelling || row->second.ended, number,
            "has forgotten an answered cancel");
  }
}

}  // namespace poold::sim
