// What may happen next in a simulation. What workers do is in workers.cpp.
#include <algorithm>
#include <memory>

#include "tests/sim/simulation.hpp"

namespace poold::sim {

void Simulation::choose() {
  const auto dice = random_.below(1000);
  if (dice < 2) return crash_engine();
  if (dice < 250) return act_as_client();
  if (dice < 300) return act_as_operator();
  if (dice < 450 || workers_.empty()) return act_as_supervisor();
  act_as_worker(random_.pick(workers_).second);
}

void Simulation::advance() {
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
  if (deadline > now_) return;
  if (random_.chance(20)) return faults_.count(Fault::clock_late);
  ring();
  end_turn();
}

void Simulation::act_as_client() {
  const auto dice = random_.below(100);
  if (dice < 60) {
    const auto pools = static_cast<std::uint32_t>(core_.state().pools.size());
    // A burst, so that much is sent ahead where tasks are short.
    const bool burst = fast_ && random_.chance(30);
    for (auto count = burst ? random_.between(10, 40) : random_.between(1, 6); count-- > 0;)
      submit(burst ? 0 : random_.number_below(pools));
  } else if (dice < 86) {
    cancel();
  } else if (dice < 88) {
    vanish();
  } else if (dice < 91) {
    hold_or_release();
  } else if (dice < 94) {
    retry();
  } else {
    forget_key();
  }
}

void Simulation::submit(PoolIndex index, bool plain) {
  Submit event;
  event.id = make_task_id(1'700'000'000'000, engine_, ++last_);
  event.pool = index;
  event.priority = static_cast<std::int32_t>(random_.below(3)) - 1;
  event.attempts_max = random_.between(1, 3);
  event.crash_attempts_max = random_.number_below(4);
  event.uid = random_.between(1000, 1002);
  event.client = random_.between(1, 6);
  tasks_.resize(last_ + 1);
  Known& task = tasks_[last_];
  task.pool = index, task.priority = event.priority, task.uid = event.uid, task.client = event.client;
  task.attempts_max = event.attempts_max;
  std::optional<KeyEntry> known_key;
  if (random_.chance(20)) {
    event.key = std::make_unique<std::string>("key " + std::to_string(random_.below(8)));
    event.digest = random_.below(2);
    if (const auto at = keys_.find(*event.key); at != keys_.end()) known_key = at->second;
  }
  const Pool& pool = core_.state().pools[index];
  bool open = is_open(pool, event.uid);
  bool waits = false;
  if (!plain && !known_key && random_.chance(40)) {
    Wishes wishes;
    event.options = choose_wishes(wishes);
    open = open && groups_take(event.uid, wishes);
    release_if_over(event.uid, wishes.group);
    release_if_over(event.uid, wishes.after_group);
    const auto awaited = groups_.find({event.uid, wishes.after_group});
    waits = awaited != groups_.end() && has_unfinished(awaited->second);
    tasks_[last_].wishes = std::move(wishes);
  }
  const std::string key = event.key ? *event.key : "";
  const KeyEntry entry{event.id, event.digest};
  handle(std::move(event));
  const auto* accepted = step_.promises.empty() ? nullptr : std::get_if<Accepted>(&step_.promises.back());
  if (known_key) {
    const bool same = known_key->digest == entry.digest;
    faults_.count(same ? Fault::client_repeats_key : Fault::client_reuses_key);
    require((accepted != nullptr) == same, "a known key is answered wrongly");
    require(!accepted || (accepted->duplicate && accepted->id == known_key->id),
            "a repeated submission is another task");
    return;
  }
  const bool gone_at_once =
      !step_.promises.empty() && std::holds_alternative<Finished>(step_.promises.back());
  if (gone_at_once && step_.promises.size() >= 2)  // with its parent
    accepted = std::get_if<Accepted>(&step_.promises[step_.promises.size() - 2]);
  require((accepted != nullptr) == open, "a submission is answered wrongly");
  require(!accepted || (!accepted->duplicate && accepted->id == entry.id), "a new submission is an old task");
  if (accepted) ++user_tasks_[{index, tasks_.back().uid}];
  if (accepted) join_groups(last_, tasks_.back(), waits);
  if (!accepted || key.empty()) return;
  keys_[key] = entry;
  key_names_.push_back(key);
}

// As far as the pool knows: what ended in this very turn has not been told yet.
bool Simulation::is_open(const Pool& pool, std::uint32_t uid) const {
  if (stopping_ || pool.removed || pool.draining || pool.pending() >= pool.settings.queue_size) return false;
  const auto count = pool.user_tasks.find(uid);
  return pool.settings.user_tasks_max == 0 || count == pool.user_tasks.end() ||
         count->second < pool.settings.user_tasks_max;
}

void Simulation::cancel() {
  if (last_ == 0) return;
  // Any task, most of which have ended; or one of the last.
  const bool recent = random_.chance(70);
  const Sequence number =
      recent ? last_ - random_.below(std::min<Sequence>(last_, 20)) : random_.below(last_ + 2);
  if (random_.chance(30)) return handle(SignalTask{number, 15});
  if (lives(number))
    tasks_[number].cancelled = true;
  else
    faults_.count(Fault::client_cancels_late);
  handle(Cancel{number});
}

// A client whose unfinished tasks are to end with it.
void Simulation::vanish() {
  faults_.count(Fault::client_vanishes);
  const ClientToken client = random_.between(1, 6);
  const Sequence first = last_ > 200 ? last_ - 200 : 1;
  for (Sequence number = first; number <= last_; ++number) {
    if (tasks_[number].client != client || !lives(number)) continue;
    tasks_[number].cancelled = true;
    handle(Cancel{number});
  }
}

void Simulation::forget_key() {
  if (key_names_.empty()) return;
  const std::string key = random_.pick(key_names_);
  const KeyEntry entry = keys_.at(key);
  if (random_.chance(20)) return handle(ForgetKey{key, make_task_id(1'700'000'000'000, 9999, 1)});
  if (lives(sequence_of(entry.id))) return;
  handle(ForgetKey{key, entry.id});
  ended_.erase(sequence_of(entry.id));  // the store let go of the task
  keys_.erase(key);
  std::erase(key_names_, key);
}

void Simulation::reconfigure(bool first) {
  std::vector<PoolSettings> pools;
  for (const char* name : {"a", "b", "c"}) {
    if (name[0] != 'a' && !(first && name[0] == 'b') && random_.chance(30)) continue;
    PoolSettings settings;
    settings.name = name;
    settings.workers = first ? random_.between(2, 5) : random_.number_below(5);
    if (random_.chance(40)) {
      settings.workers_min = random_.number_below(settings.workers + 1);
      settings.spare = random_.number_below(2);
      settings.idle_timeout = random_.chance(50) ? Duration(1ms) : Duration(3s);
    }
    if (random_.chance(20)) settings.service = {random_.between(1, 20), 5s, 1000, random_.number_below(60)};
    settings.crash_attempts = 3;
    settings.queue_size = random_.chance(20) ? 5 : 1000;
    settings.ends_own_tasks = name[0] == 'b';
    settings.grace = random_.chance(20) ? 0s : 2s;
    settings.program = random_.chance(80) ? "old" : "new";
    settings.user_tasks_max = random_.chance(10) ? 15 : 0;
    if (random_.chance(15)) settings.rate = {random_.between(1, 1000), 1s, random_.between(1, 5)};
    if (random_.chance(30)) settings.shares = {{1000, 5}, {1001, 2}};
    constexpr Duration ageings[] = {0s, 1ms, 1s, 60s};
    settings.ageing = ageings[random_.below(4)];
    pools.push_back(std::move(settings));
  }
  for (auto& [pool, starts] : pool_starts_) starts.clear();
  std::vector<LimitSettings> limits;
  if (random_.chance(50)) limits.push_back({"l0", random_.between(1, 3), {}});
  if (core_.state().limits.contains("l0") && core_.state().limits.at("l0")->configured)
    limits_["l0"] = {1, limits_["l0"].used, {}, {}};
  if (!limits.empty()) limits_["l0"] = {limits[0].size, limits_["l0"].used, {}, {}};
  // At least as many as the pools have at least.
  std::uint32_t least = 0;
  for (const PoolSettings& pool : pools)
    least += std::max(1u, std::min(pool.workers, pool.workers_min.value_or(pool.workers)));
  workers_max_ = random_.chance(30) ? std::max(1u, least + random_.number_below(3)) : 0;
  handle(Configure{std::move(pools), std::move(limits), workers_max_});
}

void Simulation::act_as_operator() {
  const auto pool = random_.number_below(static_cast<std::uint32_t>(core_.state().pools.size()));
  switch (random_.below(12)) {
    case 11:
      return act_on_process();
    case 0:
      return handle(PausePool{pool});
    case 8:
    case 9:
      return act_on_limits();
    case 1:
    case 2:
    case 3:
      return handle(ResumePool{pool});
    case 4:
      return handle(DrainPool{pool});
    case 5:
      // Within what all together may have: the engine refuses the rest.
      if (workers_max_ == 0) handle(ScalePool{pool, random_.number_below(5)});
      return;
    case 6:
      return handle(RecyclePool{pool});
    case 7:
      return reconfigure(false);
    default:
      if (!random_.chance(5)) return;
      stopping_ = true;
      return handle(StopAll{1s});
  }
}

// A dedicated process: a pool for one task, which may be given up before it has one.
void Simulation::act_on_process() {
  const auto known = core_.state().pool_names.find("process");
  if (known != core_.state().pool_names.end() && random_.chance(20)) return handle(RemovePool{known->second});
  PoolSettings settings;
  settings.name = "process";
  settings.one_task = true;
  settings.crash_attempts = 3;
  settings.grace = 2s;
  handle(AddPool{std::move(settings)});
  const PoolIndex pool = core_.state().pool_names.at("process");
  if (random_.chance(80)) submit(pool);
}

void Simulation::act_as_supervisor() {
  if (!starting_.empty() && random_.chance(70)) {
    const Place place = random_.pick(starting_);
    return random_.chance(85) ? start_succeeds(place) : start_fails(place);
  }
  if (workers_.empty()) return;
  const auto& [place, worker] = random_.pick(workers_);
  if (worker.killed || worker.closed || random_.chance(15)) {
    constexpr int signals[] = {9, 11, 15, 6};
    const bool signaled = random_.chance(80);
    faults_.count(signaled ? Fault::worker_killed : Fault::worker_exits);
    return exits(Place(place), signaled,
                 static_cast<int>(signaled ? signals[random_.below(4)] : random_.below(3)));
  }
  if (random_.chance(20)) return handle(WorkerMemory{worker.ref, random_.below(1010)});
  // News about processes that are long gone.
  faults_.count(Fault::news_of_the_dead);
  WorkerRef old = worker.ref;
  old.generation -= 1;
  if (random_.chance(50)) return handle(WorkerExited{old, true, 9});
  handle(WorkerHello{old});
}

void Simulation::start_succeeds(Place place) {
  starting_.erase(place);
  Worker& worker = workers_[place];
  worker.ref = {place.first, place.second, ++generations_[place]};
  handle(WorkerStarted{worker.ref, static_cast<std::int32_t>(1000 + worker.ref.generation)});
}

void Simulation::start_fails(Place place) {
  faults_.count(Fault::start_fails);
  starting_.erase(place);
  handle(WorkerStartFailed{place.first, place.second, {2, "/no/such/program", "not there"}});
}

void Simulation::exits(Place place, bool signaled, int code) {
  Worker& worker = workers_.at(place);
  const WorkerRef ref = worker.ref;
  // Its pipe is read to its end; how much it had written is chance, where it did not go by itself.
  std::vector<Message> messages;
  if (!worker.closed && !worker.unreadable && !worker.up.empty()) {
    const bool readable = signaled ? worker.up.read_some(random_, faults_, messages)
                                   : worker.up.read_all(random_, faults_, messages);
    if (readable && worker.up.torn()) faults_.count(Fault::frame_lost);
    arrive(worker, messages, readable);
  }
  workers_.erase(place);
  gone_.insert(ref);
  handle(WorkerExited{ref, signaled, code});
}

// Many tasks that take no time, so that others are sent ahead afterwards.
void Simulation::warm_up() {
  for (int i = 0; i < 300 && !failed(); ++i) {
    if (core_.state().pools[0].queue.size() < 4) submit(0, true);
    one_honest_step();
    end_turn();
  }
}

}  // namespace poold::sim
