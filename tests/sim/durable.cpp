// The durable world's turns, clients, workers and crashes. The store and the judge are in durable_store.cpp.
#include "tests/sim/durable.hpp"

#include <algorithm>

#include "common/overloaded.hpp"

namespace poold::sim {

DurableWorld::DurableWorld(std::uint64_t seed, bool in_words)
    : random_(seed ^ 0xd15c), trace_(in_words), now_(Time{} + 1h) {
  tasks_.resize(1);
  for (const char* name : {"disk", "slow", "memory"}) {
    PoolSettings pool;
    pool.name = name;
    pool.workers = random_.between(1, 3);
    pool.crash_attempts = 3;
    pool.queue_size = 1000;
    pool.durable = name[0] != 'm';
    pool.ends_own_tasks = name[0] == 's';
    pool.grace = 2s;
    settings_.push_back(std::move(pool));
  }
  configure();
  end_turn();
}

void DurableWorld::configure() { handle(Configure{settings_, {}, 0}); }

void DurableWorld::handle(Event&& event) {
  ++events_;
  trace_.mix(event.index());
  core_.handle(std::move(event), now_, step_);
  if (const std::string broken = broken_invariant(core_.state()); !broken.empty() && complaint_.empty())
    complaint_ = "durable: after an event: " + broken;
}

void DurableWorld::end_turn() {
  for (int rounds = 0; rounds < 100 && !failed(); ++rounds) {
    core_.schedule(now_, step_);
    if (const std::string broken = broken_invariant(core_.state()); !broken.empty() && complaint_.empty())
      complaint_ = "durable: after schedule(): " + broken;
    for (const Effect& effect : std::exchange(step_.now, {})) {
      trace_.effect(core_.state(), effect);
      if (!waits_for_commit(effect)) perform(effect);
    }
    withhold();
    if (step_.empty()) return;
  }
}

void DurableWorld::run(std::uint32_t steps) {
  for (step_number_ = 0; step_number_ < steps && !failed(); ++step_number_) {
    trace_.say([&] { return "durable step " + std::to_string(step_number_); });
    for (auto events = random_.between(1, 3); events-- > 0;) choose();
    end_turn();
    constexpr Duration waits[] = {0ns, 1us, 100us, 1ms, 6ms, 300ms};
    now_ += waits[random_.below(std::size(waits))];
    if (core_.next_deadline() <= now_) handle(TimePassed{});
    if (full_for_ > 0) {
      --full_for_;
    } else if (!withheld_.empty() && random_.chance(40)) {
      commit(1 + random_.below(withheld_.size()));
    } else if (!withheld_.empty()) {
      faults_.count(Fault::commit_late);
    }
    end_turn();
    if (random_.chance(1)) crash();
  }
  if (!failed()) settle();
}

void DurableWorld::choose() {
  const auto dice = random_.below(100);
  if (dice < 28) {
    for (auto count = random_.between(1, 3); count-- > 0;) submit();
  } else if (dice < 34) {
    cancel();
  } else if (dice < 35 && full_for_ == 0) {
    full_for_ = random_.between(1, 20);
    trouble();
  } else if (dice < 50 || workers_.empty()) {
    act_on_process();
  } else {
    work(random_.pick(workers_).second);
  }
}

void DurableWorld::submit() {
  Submit event;
  event.pool = random_.number_below(3);
  if (full_for_ > 0 && durable(event.pool)) return;  // refused at the door
  event.id = make_task_id(1'700'000'000'000, 1, ++last_);
  event.attempts_max = random_.between(1, 3);
  event.uid = 1000;
  event.client = 1;
  tasks_.resize(last_ + 1);
  Known& task = tasks_.back();
  task.durable = durable(event.pool);
  if (task.durable && random_.chance(15)) {
    task.key = "key " + std::to_string(random_.below(20));
    task.digest = random_.below(2);
    event.key = std::make_unique<std::string>(*task.key);
    event.digest = task.digest;
  }
  if (random_.chance(25)) {
    event.options = std::make_unique<TaskOptions>();
    if (random_.chance(50)) event.options->not_before = now_ + 5ms;
    if (random_.chance(50)) event.options->backoff = 10ms;
    if (random_.chance(40)) event.options->limits.push_back({"l" + std::to_string(random_.below(2))});
  }
  handle(std::move(event));
}

void DurableWorld::cancel() {
  if (last_ == 0) return;
  const Sequence number = last_ - random_.below(std::min<Sequence>(last_, 20));
  if (!core_.state().tasks.find(number)) return;
  tasks_[number].cancel_asked = true;
  handle(Cancel{number});
  if (tasks_[number].durable) cancels_.push_back(number);
}

DurableWorld::Worker* DurableWorld::find(WorkerRef worker) {
  const auto at = workers_.find({worker.pool, worker.slot});
  return at == workers_.end() || at->second.ref != worker ? nullptr : &at->second;
}

void DurableWorld::perform(const Effect& effect) {
  const auto send = [&](WorkerRef ref, Message message) {
    Worker* worker = find(ref);
    if (worker && !worker->estranged) tell(*worker, message);
  };
  const auto visitor = Overloaded{
      [&](const StartWorker& e) {
        starting_.insert({e.pool, e.slot});
      },
      [&](const SignalWorker& e) {
        if (Worker* worker = find(e.worker)) worker->killed = true;
      },
      [&](const StopWorker& e) { send(e.worker, {.frame = to_worker::stop}); },
      [&](const ReturnTasks& e) { send(e.worker, {.frame = to_worker::give_back, .tasks = e.tasks}); },
      [&](const CancelAttempt& e) {
        send(e.worker, {to_worker::cancel, {e.task}, e.attempt, e.timed_out});
      },
      [](const SignalAttempt&) {},
      [](const PoolThrottled&) {},
      [](const PoolHealed&) {},
      [](const WorkerCondemned&) {},
      [](const StopComplete&) {},
  };
  std::visit(visitor, effect);
}

void DurableWorld::act_on_process() {
  if (!starting_.empty() && random_.chance(80)) {
    const Place place = random_.pick(starting_);
    starting_.erase(place);
    Worker& worker = workers_[place];
    worker.ref = {place.first, place.second, ++generations_[place]};
    worker.pid = ++last_pid_;
    return handle(WorkerStarted{worker.ref, worker.pid});
  }
  if (workers_.empty() || !random_.chance(30)) return;
  faults_.count(Fault::worker_killed);
  exits(Place(random_.pick(workers_).first), true, 9);
}

bool DurableWorld::work(Worker& worker) {
  if (worker.killed) {
    exits({worker.ref.pool, worker.ref.slot}, true, 9);
    return true;
  }
  if (worker.estranged) {
    say_again(worker);
    return true;
  }
  if (!worker.hello) {
    worker.hello = true;
    say(worker, {.frame = from_worker::hello});
    return true;
  }
  if (!worker.up.empty()) {
    std::vector<Message> messages;
    worker.up.read_all(random_, faults_, messages);
    const WorkerRef ref = worker.ref;
    for (const Message& message : messages) heard(ref, message);
    return true;
  }
  if (worker.asked_back) {
    std::vector<Sequence> given;
    for (std::size_t i = worker.held.size(); i-- > 1;) {
      const Sequence number = worker.held[i].task;
      if (std::ranges::find(*worker.asked_back, number) == worker.asked_back->end()) continue;
      given.insert(given.begin(), number);
      worker.held.erase(worker.held.begin() + static_cast<std::ptrdiff_t>(i));
    }
    worker.asked_back.reset();
    say(worker, {.frame = from_worker::returned, .tasks = std::move(given)});
    return true;
  }
  if (worker.held.empty()) {
    if (!worker.told_to_stop || !worker.kept.empty()) return false;
    exits({worker.ref.pool, worker.ref.slot}, false, 0);
    return true;
  }
  for (std::size_t i = 0; i < worker.held.size(); ++i) {
    if (!worker.cancelled.contains(worker.held[i].task)) continue;
    result(worker, i, OutcomeKind::cancelled);
    return true;
  }
  constexpr OutcomeKind kinds[] = {OutcomeKind::returned, OutcomeKind::returned, OutcomeKind::raised};
  result(worker, 0, kinds[random_.below(std::size(kinds))]);
  return true;
}

void DurableWorld::result(Worker& worker, std::size_t position, OutcomeKind kind) {
  const Held held = worker.held[position];
  worker.held.erase(worker.held.begin() + static_cast<std::ptrdiff_t>(position));
  worker.cancelled.erase(held.task);
  Known& task = tasks_[held.task];
  if (kind == OutcomeKind::returned) task.succeeded = true;
  // A cancelled one may not have begun.
  if (kind != OutcomeKind::cancelled) {
    require(task.attempts_done < held.attempt, held.task, "runs an attempt again that has ended");
    task.attempts_done = held.attempt;
  }
  const Message message{from_worker::result, {held.task}, held.attempt, false, kind, 0};
  if (durable(worker.ref.pool)) worker.kept.push_back(message);
  if (!worker.estranged) say(worker, message);
}

void DurableWorld::say(Worker& worker, const Message& message) {
  worker.up.write(message);
  std::vector<Message> messages;
  if (random_.chance(10) && !calm_) {
    faults_.count(Fault::frames_late);
    worker.up.read_some(random_, faults_, messages);
  } else {
    worker.up.read_all(random_, faults_, messages);
  }
  const WorkerRef ref = worker.ref;
  for (const Message& whole : messages) heard(ref, whole);
}

void DurableWorld::heard(WorkerRef worker, const Message& message) {
  switch (message.frame) {
    case from_worker::hello:
      if (message.flag) return handle(WorkerSaidAgain{worker, message.tasks});
      return handle(WorkerHello{worker});
    case from_worker::result:
      if (durable(worker.pool)) acknowledgements_.emplace_back(worker, message.task());
      return handle(WorkerResult{worker, message.task(), message.attempt, message.kind, 0, "body"});
    default:
      return handle(WorkerReturned{worker, message.tasks});
  }
}

void DurableWorld::tell(Worker& worker, const Message& message) {
  worker.down.write(message);
  std::vector<Message> messages;
  worker.down.read_all(random_, faults_, messages);
  require(messages.size() == 1, message.task(), "is told of in a frame that is not read");
  for (const Message& whole : messages) hear(worker, whole);
}

void DurableWorld::hear(Worker& worker, const Message& message) {
  switch (message.frame) {
    case to_worker::task:
      worker.held.push_back({message.task(), message.attempt});
      break;
    case to_worker::cancel:
      worker.cancelled.insert(message.task());
      break;
    case to_worker::give_back:
      worker.asked_back = message.tasks;
      break;
    case to_worker::ack:
      for (const Sequence task : message.tasks) {
        const auto at = std::ranges::find(worker.kept, task, [](const Message& m) { return m.task(); });
        if (at != worker.kept.end()) worker.kept.erase(at);
      }
      break;
    default:
      worker.told_to_stop = true;
  }
}

// What it had finished is in its file, if it belongs to a durable pool; else what had left its pipe counts.
void DurableWorld::last_words(Worker& worker) {
  const WorkerRef ref = worker.ref;
  std::vector<Message> messages;
  if (!worker.estranged) worker.up.read_some(random_, faults_, messages);
  if (!worker.estranged && worker.up.torn()) faults_.count(Fault::frame_lost);
  for (const Message& message : messages) heard(ref, message);
  if (!durable(ref.pool)) return;
  if (worker.estranged) heard(ref, again(worker));
  for (const Message& kept : worker.kept) {
    const auto same = [&](const Message& m) { return m.frame == kept.frame && m.task() == kept.task(); };
    if (std::ranges::any_of(messages, same)) continue;
    faults_.count(Fault::last_words);
    heard(ref, kept);
  }
}

void DurableWorld::exits(Place place, bool signaled, int code) {
  const auto at = workers_.find(place);
  Worker worker = std::move(at->second);
  workers_.erase(at);
  last_words(worker);
  handle(WorkerExited{worker.ref, signaled, code, {}});
}

// A hello that names what it owes: each result that was not acknowledged, and each task that it has.
Message DurableWorld::again(const Worker& worker) {
  Message hello{.frame = from_worker::hello, .flag = true};
  for (const Message& kept : worker.kept) hello.tasks.push_back(kept.task());
  for (const Held& held : worker.held) hello.tasks.push_back(held.task);
  return hello;
}

// New pipes: what was half said is dropped, and what nobody acknowledged is said again.
void DurableWorld::say_again(Worker& worker) {
  worker.estranged = false;
  worker.up = Pipe();
  worker.down = Pipe();
  worker.asked_back.reset();
  if (!worker.hello) {
    worker.hello = true;
  }
  say(worker, again(worker));
  for (const Message& kept : std::vector<Message>(worker.kept)) {
    faults_.count(Fault::result_said_again);
    say(worker, kept);
  }
}

void DurableWorld::crash() {
  faults_.count(Fault::durable_engine_crashes);
  trace_.say([] { return std::string("the engine crashes"); });
  // Some of what was written may have reached the disk without being heard of.
  for (auto batches = random_.below(withheld_.size() + 1); batches-- > 0; withheld_.pop_front()) {
    faults_.count(Fault::commit_unheard);
    for (const Row& row : withheld_.front().rows) apply(row);
  }
  for (const Batch& batch : withheld_)
    if (!batch.rows.empty()) faults_.count(Fault::commit_lost);
  withheld_.clear();
  acknowledgements_.clear();
  cancels_.clear();
  forgotten_.clear();
  unaccepted_.clear();
  let_go_.clear();
  starting_.clear();
  step_.clear();
  full_for_ = 0;
  std::erase_if(workers_, [&](const auto& entry) { return !durable(entry.first.first); });
  core_ = Core();
  judge_disk();
  recover();
}

void DurableWorld::recover() {
  configure();
  std::vector<Place> dead;
  for (auto& [place, worker] : workers_) {
    worker.estranged = true;
    faults_.count(Fault::worker_adopted);
    handle(WorkerAdopted{worker.ref, worker.pid});
    // Nobody listens, and it goes on.
    if (!worker.held.empty() && random_.chance(50)) result(worker, 0, OutcomeKind::returned);
    if (random_.chance(15)) dead.push_back(place);
  }
  for (const auto& [number, row] : disk_) {
    if (row.ended) {
      if (row.key) handle(RememberKey{*row.key, {row.id, row.digest}});
      continue;
    }
    Recover event{task_of(row), row.digest};
    const bool as_stored = event.task.state != TaskState::running;
    event.task.unsaved = as_stored;
    handle(std::move(event));
    if (Task* task = as_stored ? core_.find_live(number) : nullptr) task->unsaved = false;
  }
  for (const Place& place : dead) {
    faults_.count(Fault::adopted_dies);
    exits(place, true, 9);
  }
  end_turn();
}

void DurableWorld::settle() {
  trace_.say([] { return std::string("no more faults"); });
  calm_ = true;
  full_for_ = 0;
  for (int round = 0; !failed(); ++round) {
    require(round < 20'000, 0, "does not come to rest");
    bool done = !withheld_.empty();
    commit(withheld_.size());
    for (std::size_t left = starting_.size(); left-- > 0; done = true) {
      const Place place = *starting_.begin();
      starting_.erase(place);
      Worker& worker = workers_[place];
      worker.ref = {place.first, place.second, ++generations_[place]};
      worker.pid = ++last_pid_;
      handle(WorkerStarted{worker.ref, worker.pid});
    }
    for (auto at = workers_.begin(); at != workers_.end();) {
      Worker& worker = (at++)->second;
      done = work(worker) || done;
    }
    end_turn();
    now_ += 1us;
    if (done) continue;
    if (core_.next_deadline() == Time::max()) break;
    now_ = std::max(now_, core_.next_deadline());
    handle(TimePassed{});
    end_turn();
  }
  if (failed()) return;
  core_.state().tasks.each([&](const Task& task) {
    require(false, task.sequence(),
            task.state == TaskState::running ? "is left, running" : "is left, waiting");
    return false;
  });
  judge_disk();
  for (Sequence number = 1; number <= last_; ++number)
    require(!tasks_[number].durable || !tasks_[number].acknowledged || disk_.at(number).ended, number,
            "was accepted and has not ended");
}

}  // namespace poold::sim
