// What time brings. No timer is cancelled; when it rings it looks whether its reason still holds.
#include <algorithm>
#include <vector>

#include "daemon/core/handlers.hpp"
#include "daemon/core/sizing.hpp"
#include "daemon/core/window.hpp"

namespace poold::core {
namespace {

void ring_head_watch(State& state, const Timer& timer, Time now, Step& step) {
  Slot* slot = find_slot(state, timer.worker);
  if (!slot) return;
  slot->watch_armed = false;
  if (slot->held.size() < 2) return;
  if (slot->held.front()->withheld) slot->head_since = now;  // it waits for the disk
  if (now - slot->head_since < take_back_after) return arm_head_watch(state, timer.worker);
  Pool& pool = state.pools[timer.worker.pool];
  // Not as short as it seemed: until tasks prove short again, nothing is sent ahead.
  pool.run_time = run_time_max;
  ask_back(state, timer.worker, now, step);
}

void ring_cancel_overdue(State& state, const Timer& timer, Time now, Step& step) {
  const Task* task = state.tasks.find(timer.task);
  if (!task || !asked_to_end(*task) || task->attempt != timer.attempt ||
      task->generation != timer.worker.generation)
    return;
  Slot* slot = find_slot(state, timer.worker);
  // Behind another task it has not started; killing the worker would hurt the other one. When its turn comes,
  // it gets a timer of its own.
  if (!slot || slot->held.front() != task) return;
  const Time due = slot->head_since + cancel_patience(state, *task);
  if (now < due)
    return state.timers.push({due, TimerKind::cancel_overdue, timer.worker, timer.task, timer.attempt});
  condemn(state, timer.worker, StopReason::its_task,
          timing_out(*task) ? "its task's time was over and it did not end"
                            : "its task was cancelled and did not end in time",
          step);
}

void ring_exit_overdue(State& state, const Timer& timer, Step& step) {
  const Slot* slot = find_slot(state, timer.worker);
  if (!slot) return;
  const StopReason whose =
      slot->state == WorkerState::retiring ? StopReason::our_wish : StopReason::its_fault;
  condemn(state, timer.worker, whose, "it should have exited by now", step);
}

void ring_stop_overdue(State& state, Time now, Step& step) {
  std::vector<Sequence> running;
  state.tasks.each([&](const Task& task) {
    const bool waits = task.state != TaskState::running && state.pools[task.pool].settings.durable;
    if (!waits) running.push_back(task.sequence());
    return true;
  });
  for (const Sequence number : running) {
    Task& task = *state.tasks.find(number);
    if (state.pools[task.pool].settings.durable) {
      interrupt(state, task, now, step);
    } else {
      on_cancel(state, Cancel{number}, now, step);
    }
  }
}

void ring(State& state, const Timer& timer, Time now, Step& step) {
  switch (timer.kind) {
    case TimerKind::start_overdue:
      if (const Slot* slot = find_slot(state, timer.worker); slot && slot->state == WorkerState::starting)
        condemn(state, timer.worker, StopReason::its_fault, "it did not say hello in time", step);
      return;
    case TimerKind::throttle_ends:
      return mark_attend(state, timer.worker.pool);
    case TimerKind::head_watch:
      return ring_head_watch(state, timer, now, step);
    case TimerKind::cancel_overdue:
      return ring_cancel_overdue(state, timer, now, step);
    case TimerKind::exit_overdue:
      return ring_exit_overdue(state, timer, step);
    case TimerKind::stop_overdue:
      return ring_stop_overdue(state, now, step);
    case TimerKind::pool_refills:
      state.pools[timer.worker.pool].rate_timer_armed = false;
      return mark_dirty(state, timer.worker.pool);
    case TimerKind::limit_refills:
      return ring_limit_refills(state, timer, now);
    case TimerKind::idle_check:
      state.pools[timer.worker.pool].idle_timer_armed = false;
      return mark_attend(state, timer.worker.pool);
    case TimerKind::room_check:
      return ring_room_check(state);
    case TimerKind::worker_ages:
      return wear_out(state, timer.worker);
  }
}

// It would find nothing to do. Only those that many tasks and workers leave behind: the others come once.
bool stale(State& state, const Timer& timer) {
  if (timer.kind != TimerKind::start_overdue && timer.kind != TimerKind::cancel_overdue &&
      timer.kind != TimerKind::exit_overdue)
    return false;
  const Slot* slot = find_slot(state, timer.worker);
  if (!slot) return true;
  if (timer.kind == TimerKind::start_overdue) return slot->state != WorkerState::starting;
  return timer.kind == TimerKind::cancel_overdue && !state.tasks.find(timer.task);
}

}  // namespace

void drop_stale_timers(State& state) {
  while (!state.timers.empty() && stale(state, state.timers.top())) state.timers.pop();
}

void on_time_passed(State& state, Time now, Step& step) {
  ring_task_timers(state, now, step);
  while (!state.timers.empty() && state.timers.top().at <= now) {
    const Timer timer = state.timers.top();
    state.timers.pop();
    ring(state, timer, now, step);
  }
}

}  // namespace poold::core
