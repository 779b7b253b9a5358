// What may happen next in a random walk. What workers do is in walk_workers.cpp.
#include <algorithm>
#include <memory>

#include "tests/unit/core/walk.hpp"
#include "tests/unit/core/world.hpp"

namespace poold::core {

void Walk::choose() {
  const auto dice = random_.below(100);
  if (dice < 25) return act_as_client();
  if (dice < 30) return act_as_operator();
  if (dice < 45 || workers_.empty()) return act_as_supervisor();
  act_as_worker(random_.pick(workers_).second);
}

void Walk::advance() {
  constexpr Duration slow[] = {0ns, 1us, 100us, 1ms, 6ms, 300ms, 2s};
  constexpr Duration fast[] = {0ns, 0ns, 1us, 10us, 100us, 1ms, 3ms};
  const Time deadline = core_.next_deadline();
  const bool near = deadline != Time::max() && (!fast_ || deadline - now_ < 20ms);
  if (near && random_.chance(15)) {
    ring();
    return end_turn();
  }
  now_ += fast_ ? fast[random_.below(std::size(fast))] : slow[random_.below(std::size(slow))];
  // Mostly in time; sometimes the loop was busy and many deadlines have passed.
  if (deadline > now_ || random_.chance(20)) return;
  ring();
  end_turn();
}

void Walk::act_as_client() {
  const auto dice = random_.below(10);
  if (dice < 6) {
    for (auto count = 1 + random_.below(6); count-- > 0;)
      submit(static_cast<PoolIndex>(random_.below(core_.state().pools.size())));
  } else if (dice < 9) {
    cancel();
  } else {
    forget_key();
  }
}

void Walk::submit(PoolIndex index) {
  Submit event = task(static_cast<std::int32_t>(random_.below(3)) - 1);
  const TaskId id = make_task_id(1'700'000'000'000, 1, ++last_);
  event.id = id;
  event.pool = index;
  event.attempts_max = static_cast<std::uint32_t>(1 + random_.below(3));
  event.crash_attempts_max = static_cast<std::uint32_t>(random_.below(4));
  const std::string key = "key " + std::to_string(random_.below(8));
  const std::uint64_t digest = event.digest = random_.below(2);
  std::optional<KeyEntry> known;
  const bool keyed = random_.chance(20);
  if (keyed) {
    event.key = std::make_unique<std::string>(key);
    if (const auto at = keys_.find(key); at != keys_.end()) known = at->second;
  }
  const Pool& pool = core_.state().pools[index];
  const bool open =
      !stopping_ && !pool.removed && !pool.draining && pool.queue.size() < pool.settings.queue_size;
  handle(std::move(event));
  const auto* accepted = std::get_if<Accepted>(&step_.promises.back());
  if (known) {
    require((accepted != nullptr) == (known->digest == digest), "a known key is answered wrongly");
    require(!accepted || (accepted->duplicate && accepted->id == known->id),
            "a repeated submission is another task");
    return;
  }
  require((accepted != nullptr) == open, "a submission is answered wrongly");
  require(!accepted || (!accepted->duplicate && accepted->id == id), "a new submission is an old task");
  if (accepted && keyed) keys_[key] = {id, digest};
}

void Walk::cancel() {
  // Any task, most of which have ended; or one of the last.
  const bool recent = random_.chance(70);
  const Sequence number =
      recent ? last_ - random_.below(std::min<Sequence>(last_, 20) + 1) : random_.below(last_ + 2);
  if (random_.chance(30)) return handle(SignalTask{number, 15});
  if (core_.state().tasks.find(number)) tasks_[number].cancelled = true;
  handle(Cancel{number});
}

void Walk::forget_key() {
  if (keys_.empty()) return;
  const auto [key, entry] = random_.pick(keys_);
  if (random_.chance(20)) return handle(ForgetKey{key, make_task_id(1'700'000'000'000, 2, 1)});
  if (core_.state().tasks.find(sequence_of(entry.id))) return;
  handle(ForgetKey{key, entry.id});
  keys_.erase(key);
}

void Walk::reconfigure() {
  std::vector<PoolSettings> pools;
  for (const char* name : {"a", "b", "c"}) {
    if (name[0] != 'a' && random_.chance(30)) continue;
    PoolSettings settings = pool_settings(name, static_cast<std::uint32_t>(random_.below(5)));
    settings.queue_size = random_.chance(20) ? 5 : 1000;
    settings.ends_own_tasks = name[0] == 'b';
    settings.grace = random_.chance(20) ? 0s : 2s;
    settings.program = random_.chance(80) ? "old" : "new";
    pools.push_back(std::move(settings));
  }
  handle(Configure{std::move(pools)});
}

void Walk::act_as_operator() {
  const auto pool = static_cast<PoolIndex>(random_.below(core_.state().pools.size()));
  switch (random_.below(9)) {
    case 0:
      return handle(PausePool{pool});
    case 1:
    case 2:
    case 3:
      return handle(ResumePool{pool});
    case 4:
      return handle(DrainPool{pool});
    case 5:
      return handle(ScalePool{pool, static_cast<std::uint32_t>(random_.below(5))});
    case 6:
      return handle(RecyclePool{pool});
    case 7:
      return reconfigure();
    default:
      if (!random_.chance(5)) return;
      stopping_ = true;
      return handle(StopAll{1s});
  }
}

void Walk::act_as_supervisor() {
  if (!starting_.empty() && random_.chance(70)) {
    const Place place = random_.pick(starting_);
    return random_.chance(80) ? start_succeeds(place) : start_fails(place);
  }
  if (workers_.empty()) return;
  const auto& [place, worker] = random_.pick(workers_);
  if (worker.killed || worker.closed || random_.chance(15)) {
    constexpr int signals[] = {9, 11, 15, 6};
    const bool signaled = random_.chance(80);
    return exits(Place(place), signaled,
                 static_cast<int>(signaled ? signals[random_.below(4)] : random_.below(3)));
  }
  // News about processes that are long gone.
  WorkerRef old = worker.ref;
  old.generation -= 1;
  if (random_.chance(50)) return handle(WorkerExited{old, true, 9});
  handle(WorkerHello{old});
}

void Walk::start_succeeds(Place place) {
  starting_.erase(place);
  Worker& worker = workers_[place];
  worker.ref = {place.first, place.second, ++generations_[place]};
  handle(WorkerStarted{worker.ref, static_cast<std::int32_t>(1000 + worker.ref.generation)});
}

void Walk::start_fails(Place place) {
  starting_.erase(place);
  handle(WorkerStartFailed{place.first, place.second, {2, "/no/such/program", "not there"}});
}

void Walk::exits(Place place, bool signaled, int code) {
  const WorkerRef ref = workers_.at(place).ref;
  workers_.erase(place);
  gone_.insert(ref);
  handle(WorkerExited{ref, signaled, code});
}

// Many tasks that take no time, so that others are sent ahead afterwards.
void Walk::warm_up() {
  if (core_.state().pools[0].size == 0) return;
  for (int i = 0; i < 500 && !failed(); ++i) {
    if (core_.state().pools[0].queue.size() < 4) submit(0);
    one_honest_step();
    end_turn();
  }
}

}  // namespace poold::core
