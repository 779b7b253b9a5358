// Named limits in a simulation: their sizes and rates change, and the judge counts tokens for himself.
#include <algorithm>

#include "tests/sim/simulation.hpp"

namespace poold::sim {

void Simulation::act_on_limits() {
  const std::string name = "l" + std::to_string(random_.below(4));
  LimitView& limit = limits_[name];
  limit.starts.clear();
  if (random_.chance(20)) {
    limit.size = 1;
    limit.rate = {};
    return handle(RemoveLimit{name});
  }
  limit.size = random_.number_below(4);
  limit.rate = {};
  if (random_.chance(30)) limit.rate = {random_.between(1, 1000), 1s, random_.between(1, 4)};
  handle(SetLimit{{name, limit.size, limit.rate}});
}

// No limit may be closed for ever.
void Simulation::open_limits() {
  for (auto& [name, limit] : limits_) {
    if (limit.size > 0) continue;
    limit.size = 2;
    limit.rate = {};
    handle(SetLimit{{name, 2, {}}});
  }
}

void Simulation::take_tokens(Sequence number, Known& task) {
  for (const auto& [name, wanted] : task.wishes->limits) {
    LimitView& limit = limits_[name];
    const std::uint32_t tokens = std::min(wanted, limit.size);
    require_task(tokens > 0 && limit.used + tokens <= limit.size, number, "begins without tokens");
    limit.used += tokens;
    task.taken[name] = tokens;
    if (limit.rate) check_rate(limit.starts, limit.rate, "a limit lets tasks start too fast");
  }
}

// One more start: of any that follow one another, one more than a burst takes at least an interval.
void Simulation::check_rate(std::vector<Time>& starts, const Rate& rate, const char* what) {
  starts.push_back(now_);
  if (starts.size() <= rate.burst) return;
  require(now_ - starts[starts.size() - 1 - rate.burst] >= rate.interval(), what);
  if (starts.size() > 64) starts.erase(starts.begin(), starts.begin() + 32);
}

void Simulation::check_limits() {
  for (PoolIndex index = 0; index < core_.state().pools.size(); ++index) {
    const Pool& pool = core_.state().pools[index];
    for (const auto& [uid, count] : pool.user_tasks)
      require(pool.settings.user_tasks_max == 0 || user_tasks_[{index, uid}] == count,
              "a user's tasks are miscounted");
  }
  for (const auto& [name, limit] : core_.state().limits) {
    const LimitView& view = limits_[name];
    require(view.used == limit->used && view.size == limit->settings.size,
            [&] { return "limit " + name + ": its tokens are not those of its running tasks"; });
    for (const auto& [index, parked] : limit->parked) {
      const Task* first = parked.queue.front();
      const Pool& pool = core_.state().pools[index];
      if (!first || pool.paused || stopping_ || parked.offered_starts > 0) continue;
      const std::uint32_t tokens =
          std::min(known(first->sequence()).wishes->limits.at(name), limit->settings.size);
      const bool free = tokens > 0 && limit->used + tokens <= limit->settings.size;
      const bool soon = !limit->settings.rate || limit->bucket.available(limit->settings.rate, now_) > 0;
      // Where the rate is the reason, the timer that ends it may be late.
      require(!free || !soon || limit->timer_armed,
              [&] { return "limit " + name + ": a task is parked though there are tokens for it"; });
    }
  }
}

}  // namespace poold::sim
