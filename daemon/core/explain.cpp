#include "daemon/core/explain.hpp"

#include <algorithm>

namespace poold::core {
namespace {

using Kind = Reason::Kind;

void explain_waiting(const State& state, const Task& task, Time now, std::vector<Reason>& reasons) {
  const TaskOptions& options = *task.options;
  if (options.held) reasons.push_back({.kind = Kind::held});
  for (const Parent& parent : options.parents)
    reasons.push_back({.kind = Kind::parent, .parent = parent.task});
  if (!options.after_group.empty()) {
    const Group& group = *state.groups.at({task.uid, options.after_group});
    reasons.push_back({.kind = Kind::group, .group = options.after_group, .ahead = group.unfinished()});
  }
  if (now < options.not_before) reasons.push_back({.kind = Kind::not_due, .until = options.not_before});
}

// Every limit that has nothing for the task, the one it stands at first.
void explain_limits(const TaskOptions& options, Time now, std::vector<Reason>& reasons) {
  const std::size_t first = reasons.size();
  for (const LimitUse& use : options.limits) {
    const LimitSettings& settings = use.limit->settings;
    const std::uint32_t tokens = use.limit->share_of(use.tokens);
    Reason reason{.kind = Kind::limit,
                  .limit = use.name,
                  .wanted = use.tokens,
                  .size = settings.size,
                  .used = use.limit->used};
    const bool no_rate = settings.rate && use.limit->bucket.available(settings.rate, now) == 0;
    if (no_rate) {
      reason.kind = Kind::limit_rate;
      reason.until = use.limit->bucket.when(settings.rate, now, 1);
    } else if (tokens > 0 && use.limit->used + tokens <= settings.size && options.parked_at != use.limit) {
      continue;
    }
    const bool stands_here = options.parked_at == use.limit;
    reasons.insert(stands_here ? reasons.begin() + static_cast<std::ptrdiff_t>(first) : reasons.end(),
                   std::move(reason));
  }
}

void explain_pool(const Pool& pool, Time now, std::vector<Reason>& reasons) {
  if (pool.paused) reasons.push_back({.kind = Kind::pool_paused, .uid = pool.paused_by});
  if (pool.throttled()) reasons.push_back({.kind = Kind::pool_throttled, .until = pool.throttled_until});
  const Rate& rate = pool.settings.rate;
  if (rate && pool.bucket.available(rate, now) == 0)
    reasons.push_back({.kind = Kind::pool_rate, .until = pool.bucket.when(rate, now, 1)});
  const std::uint32_t ready = ready_workers(pool);
  if (ready == 0)
    reasons.push_back({.kind = Kind::no_workers});
  else if (busy_workers(pool) >= ready)
    reasons.push_back({.kind = Kind::workers_busy});
}

std::uint32_t count_ahead(const Queue& queue, const Task& task) {
  std::uint32_t ahead = 0;
  bool met = false;
  queue.each([&](const Task& other) {
    if (&other == &task) met = true;
    const bool same_line = other.uid == task.uid && other.priority == task.priority;
    const bool first = same_line ? !met : other.priority == task.priority || queue.before(other, task);
    if (&other != &task && first) ++ahead;
  });
  return ahead;
}

void explain_place(const Queue& queue, const Task& task, std::vector<Reason>& reasons) {
  if (const std::uint32_t ahead = count_ahead(queue, task))
    reasons.push_back({.kind = Kind::behind_others, .ahead = ahead});
}

}  // namespace

std::vector<Reason> explain(const State& state, const Task& task, Time now) {
  std::vector<Reason> reasons;
  const Pool& pool = state.pools[task.pool];
  switch (task.state) {
    case TaskState::waiting:
      if (const Limit* limit = task.options->parked_at) {
        explain_limits(*task.options, now, reasons);
        explain_place(limit->parked.at(task.pool).queue, task, reasons);
        if (pool.paused) reasons.push_back({.kind = Kind::pool_paused, .uid = pool.paused_by});
      } else {
        explain_waiting(state, task, now, reasons);
      }
      break;
    case TaskState::queued:
      explain_pool(pool, now, reasons);
      if (task.options) explain_limits(*task.options, now, reasons);
      explain_place(pool.queue, task, reasons);
      break;
    case TaskState::running:
    case TaskState::succeeded:
    case TaskState::failed:
    case TaskState::cancelled:
      break;
  }
  return reasons;
}

}  // namespace poold::core
