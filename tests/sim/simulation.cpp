// The turns and phases of a simulation.
#include "tests/sim/simulation.hpp"

#include <algorithm>
#include <utility>

namespace poold::sim {
namespace {

constexpr const char* event_names[] = {
    "submit",        "cancel",          "signal",         "hold",
    "release",       "retry",           "recover",        "remember key",
    "forget key",    "remember member", "forget member",  "configure",
    "add pool",      "remove pool",     "set limit",      "remove limit",
    "scale",         "pause",           "drain",          "resume",
    "recycle",       "stop all",        "worker started", "worker start failed",
    "hello",         "adopted",         "said again",     "worker exited",
    "worker broken", "result",          "returned",       "output",
    "memory",        "time passed"};
static_assert(std::size(event_names) == std::variant_size_v<Event>);

}  // namespace

Simulation::Simulation(std::uint64_t seed, bool in_words)
    : random_(seed), trace_(in_words), now_(Time{} + 1h) {
  tasks_.resize(1);
  fast_ = random_.chance(50);
  reconfigure(true);
  end_turn();
  if (fast_) warm_up();
}

void Simulation::run(std::uint32_t steps) {
  stumble(steps);
  // A seed that met few tasks gets the rest now.
  while (last_ < tasks_min && !stopping_ && !failed()) {
    submit(random_.number_below(static_cast<std::uint32_t>(core_.state().pools.size())));
    end_turn();
  }
  if (!failed()) settle();
  if (!failed()) stop();
}

void Simulation::handle(Event&& event) {
  ++events_;
  trace_.mix(event.index());
  trace_.say([&] { return std::string("event ") + event_names[event.index()]; });
  core_.handle(std::move(event), now_, step_);
  const std::string broken = broken_invariant(core_.state());
  require(broken.empty(), [&] { return "after an event: " + broken; });
}

void Simulation::end_turn() {
  core_.schedule(now_, step_);
  const std::string broken = broken_invariant(core_.state());
  require(broken.empty(), [&] { return "after schedule(): " + broken; });
  for (const Effect& effect : step_.now) {
    trace_.effect(core_.state(), effect);
    perform(effect);
  }
  for (Promise& promise : step_.promises) {
    trace_.promise(core_.state(), promise);
    perform(promise);
  }
  step_.clear();
  gone_.clear();
  check_idle_workers();
  check_limits();
  if (std::exchange(rang_, false)) judge_late_tasks();
}

void Simulation::ring() {
  now_ = std::max(now_, core_.next_deadline());
  handle(TimePassed{});
  rang_ = true;
  require(core_.next_deadline() > now_, "a deadline that was served is still there");
}

void Simulation::stumble(std::uint32_t steps) {
  for (step_number_ = 0; step_number_ < steps && !failed(); ++step_number_) {
    trace_.say([&] { return "step " + std::to_string(step_number_); });
    for (auto events = random_.between(1, 3); events-- > 0;) choose();
    end_turn();
    advance();
  }
}

bool Simulation::one_honest_step() {
  if (!starting_.empty()) {
    start_succeeds(*starting_.begin());
    return true;
  }
  bool done = false;
  for (auto at = workers_.begin(); at != workers_.end();) {
    const Place place = at->first;
    Worker& worker = (at++)->second;  // it may exit
    if (worker.killed || worker.closed || worker.stuck) {
      exits(place, true, 9);
      done = true;
    } else if (!worker.up.empty() && !worker.unreadable) {
      std::vector<Message> messages;
      const bool readable = worker.up.read_all(random_, faults_, messages);
      arrive(worker, messages, readable);
      done = true;
    } else if (work_honestly(worker)) {
      done = true;
    }
  }
  return done;
}

// Workers that are replaced for ever would never come to rest.
void Simulation::keep_workers() {
  Configure event;
  for (const Pool& pool : core_.state().pools) {
    if (pool.removed) continue;
    event.pools.push_back(pool.settings);
    event.pools.back().service = {};
  }
  for (const auto& [name, limit] : core_.state().limits)
    if (limit->configured) event.limits.push_back(limit->settings);
  event.workers_max = workers_max_;
  handle(std::move(event));
}

void Simulation::settle() {
  trace_.say([] { return std::string("no more faults"); });
  keep_workers();
  for (PoolIndex index = 0; index < core_.state().pools.size(); ++index) {
    handle(ResumePool{index});
    if (core_.state().pools[index].size == 0) handle(ScalePool{index, 1});
  }
  open_limits();
  release_all();
  end_turn();
  for (int round = 0; !failed(); ++round) {
    require(round < 50'000, "it does not come to rest");
    if (!one_honest_step()) {
      if (core_.next_deadline() == Time::max()) break;
      ring();
    }
    end_turn();
    now_ += 1us;
  }
  check_rest();
}

void Simulation::stop() {
  stopping_ = true;
  handle(StopAll{random_.chance(50) ? Duration(1s) : Duration(0)});
  settle();
  require(stop_completes_ == 1, "the stop does not complete");
}

// The engine is gone, and with it everything that lived in memory: tasks, keys, attempts. The supervisor ends
// its workers and starts a new one. With a store that outlives it, accepted tasks would be given back here.
void Simulation::crash_engine() {
  if (stopping_) return;
  faults_.count(Fault::engine_crashes);
  trace_.say([] { return std::string("the engine crashes"); });
  core_ = Core();
  step_.clear();
  workers_.clear();
  starting_.clear();
  gone_.clear();
  keys_.clear();
  key_names_.clear();
  order_.clear();
  children_.clear();
  ended_.clear();
  user_tasks_.clear();
  limits_.clear();
  pool_starts_.clear();
  groups_.clear();
  for (Known& task : tasks_) task = Known{};
  accepted_ = finished_ = 0;
  ++engine_;
  reconfigure(true);
  end_turn();
  if (fast_) warm_up();
}

}  // namespace poold::sim
