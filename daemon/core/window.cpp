#include "daemon/core/window.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/handlers.hpp"

namespace poold::core {

std::uint32_t window(const Pool& pool) {
  const Duration run_time = std::max(pool.run_time, Duration(1));
  const Duration ahead = pool.settings.durable ? run_ahead_durable : run_ahead;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ahead / run_time + 1, 1, window_max));
}

void ask_back(State& state, WorkerRef worker, Time now, Step& step) {
  Slot* slot = find_slot(state, worker);
  if (!slot || slot->held.size() < 2 || slot->return_pending || slot->state == WorkerState::stopping) return;
  ReturnTasks request{worker, {}};
  for (Task* task = slot->held.front()->next; task; task = task->next) {
    if (task->cancelling) continue;  // its cancel is on the way already
    task->returning = true;
    request.tasks.push_back(task->sequence());
  }
  if (request.tasks.empty()) return;
  slot->return_pending = true;
  slot->return_due = now + return_patience;
  step.now.push_back(std::move(request));
}

void judge_return(Slot& slot, Time now) {
  const Duration taken = now - slot.return_due + return_patience;
  if (taken >= return_patience) slot.one_at_a_time_until = now + distrust_factor * taken;
}

bool may_send_ahead(const Slot& slot, Time now) {
  // A task that has run this long would only hold up what is sent behind it: that would be asked back at
  // once.
  return slot.state == WorkerState::busy && !slot.return_pending && now >= slot.one_at_a_time_until &&
         now - slot.head_since < take_back_after;
}

void arm_head_watch(State& state, WorkerRef worker) {
  Slot& slot = state.pools[worker.pool].slots[worker.slot];
  if (std::exchange(slot.watch_armed, true)) return;
  state.timers.push({slot.head_since + take_back_after, TimerKind::head_watch, worker});
}

}  // namespace poold::core
