// The handlers behind Core::handle, one a thing that can happen, and the moves they share. Private to the
// core.
#pragma once

#include <optional>

#include "daemon/core/core.hpp"

namespace poold::core {

// submission.cpp
void on_submit(State& state, Submit&& event, Time now, Step& step);
void on_cancel(State& state, const Cancel& event, Time now, Step& step);
void on_signal(State& state, const SignalTask& event, Step& step);
void on_forget_key(State& state, const ForgetKey& event);
// The task is one more of its user's.
void count_user_task(State& state, const Task& task);
// Ends the running attempt because the daemon stops: the task waits for the next start, uncharged.
void interrupt(State& state, Task& task, Time now, Step& step);
// Between the request to end and SIGKILL.
Duration grace_of(const State& state, const Task& task);
// How long the first task of a worker may go on after it was asked to end.
Duration cancel_patience(const State& state, const Task& task);
// Looks whether the running task that was asked to end has ended, after that patience.
void arm_cancel_overdue(State& state, const Task& task, Time now);

// attempt.cpp: how attempts end.
void on_result(State& state, WorkerResult&& event, Time now, Step& step);
void on_returned(State& state, const WorkerReturned& event, Time now, Step& step);
void on_output(State& state, const WorkerOutput& event);
// Was the running attempt asked to end, for whatever reason?
bool asked_to_end(const Task& task);
// Was it asked to end because its time is over?
bool timing_out(const Task& task);
// The task leaves the core with this outcome; `final_state` is one of the three that absorb. It must be in no
// list.
void finish(State& state, Task& task, TaskState final_state, OutcomeKind kind, std::string body, Time now,
            Step& step);
void finish_cancelled(State& state, Task& task, Time now, Step& step);
// Takes the task off its worker; the worker may have become idle.
void release(State& state, Slot& slot, Task& task, Time now);
// The attempt ended without its worker's word. `finish` is told how the worker ended.
void lose_attempt(State& state, Task& task, bool signaled, int code, Time now, Step& step);
// The worker of these tasks is gone: the first is charged, the others go back to the queue.
void end_attempts_of_lost_worker(State& state, WorkerRef worker, bool signaled, int code, Time now,
                                 Step& step);
// A task that its worker holds but never started goes back where it came from; its attempt never was. `near`
// is one that went back just before it, or null; returns the task if it is queued again, to be the next
// one's.
Task* take_back(State& state, Pool& pool, Slot& slot, Task& task, Task* near, Time now, Step& step);

// failure.cpp: what follows when a task fails. It has left its worker.
void fail_attempt(State& state, Task& task, OutcomeKind kind, int exit_code, std::string body, Time now,
                  Step& step);
// Back to where it waits for its next attempt.
void repeat_attempt(State& state, Task& task, OutcomeKind kind, Time now, Step& step);
// How long it waits after its last failure. It has options.
Duration backoff_delay(const Task& task);

// waiting.cpp: when a task may run.
void on_hold(State& state, const Hold& event, Time now, Step& step);
void on_release(State& state, const Release& event, Time now, Step& step);
void on_retry(State& state, Retry&& event, Time now, Step& step);
// Puts a task that is in no list where it belongs now: into the queue, or with those who wait.
void place(State& state, Task& task, Time now);
// Takes a task that does not run out of the list that it is in.
void displace(State& state, Task& task, Time now);
// What was asked begins to count; and it is over with the task. `settle_parents` for a new task, once it has
// been placed: some of its parents may have ended before.
void begin_options(State& state, Task& task, Time now);
void settle_parents(State& state, Task& task, Time now, Step& step);
// Its limits and its parents get to know it.
void join_others(State& state, Task& task);
void end_options(State& state, Task& task, TaskState final_state);
void arm_task_timer(State& state, Task& task);
// Ends a task that does not run, has options and must not start (again) any more; false if it may.
bool give_up_if_late(State& state, Task& task, Time now, Step& step);
void ring_task_timers(State& state, Time now, Step& step);
// What the tasks that have ended in this event mean for those that wait for them.
inline void settle_children(State& state, Time now, Step& step);
void settle_ended_parents(State& state, Time now, Step& step);

// group.cpp: many under one name.
void on_remember_member(State& state, const RememberMember& event);
void on_forget_member(State& state, const ForgetMember& event);
// A new or recovered task with options is counted, and waits if it is to wait for a group.
void join_groups(State& state, Task& task);
// It waits for no group any more.
void leave_awaited_group(State& state, Task& task);
// An ended task comes back to the group that has counted it all the while.
void return_to_group(State& state, Task& task);
// The task is about to end so; it may be the last.
void leave_group(State& state, const Task& task, TaskState final_state);
void settle_ended_groups(State& state, Time now, Step& step);

// limit.cpp: beside how many others it may run.
void on_set_limit(State& state, const SetLimit& event, Time now);
void on_remove_limit(State& state, const RemoveLimit& event, Time now);
void configure_limits(State& state, const std::vector<LimitSettings>& limits, Time now);
void ring_limit_refills(State& state, const Timer& timer, Time now);
void enter_limits(State& state, Task& task);
void leave_limits(State& state, Task& task);
// Takes all tokens that the queued task needs; or parks it where the first are missing, and returns false.
bool take_tokens(State& state, Task& task, Time now);
// The task runs already: its tokens are its own, whether there are so many or not.
void keep_tokens(Task& task);
void give_tokens_back(State& state, Task& task, Time now);
// The task leaves its pool's queue, or its limit's list, without having started.
void withdraw_offer(State& state, Task& task, Time now);
void leave_parking(State& state, Task& task, Time now);

// worker.cpp: processes.
void on_started(State& state, const WorkerStarted& event, Time now);
void on_start_failed(State& state, WorkerStartFailed&& event, Time now, Step& step);
void on_hello(State& state, const WorkerHello& event, Step& step);
void on_exited(State& state, const WorkerExited& event, Time now, Step& step);
void on_broken(State& state, WorkerBroken&& event, Time now, Step& step);
void set_worker_state(State& state, WorkerRef worker, WorkerState next);
// SIGKILL, once, and nothing more is sent to it.
void condemn(State& state, WorkerRef worker, StopReason whose, std::string reason, Step& step);
// Finish what it has, then exit; killed if it is idle and does not.
void retire(State& state, WorkerRef worker, Time now, Step& step);
// Kills the retiring worker, which has nothing left to do, if it is still there after a while.
void arm_exit_overdue(State& state, WorkerRef worker, Time now);
// Ends a throttle.
void heal(State& state, PoolIndex index, Step& step);
// Gives up empty slots above the pool's size.
void trim_removed_slots(Pool& pool);

// operate.cpp: what operators ask for.
void on_configure(State& state, const Configure& event, Time now);
void on_add_pool(State& state, const AddPool& event, Time now);
void on_remove_pool(State& state, const RemovePool& event);
void on_scale(State& state, const ScalePool& event);
void on_pause(State& state, const PausePool& event, Time now, Step& step);
void on_drain(State& state, const DrainPool& event);
void on_resume(State& state, const ResumePool& event);
void on_recycle(State& state, const RecyclePool& event);
void on_stop_all(State& state, const StopAll& event, Time now, Step& step);

// timers.cpp
// So that nothing wakes up for what is over.
void drop_stale_timers(State& state);
void on_time_passed(State& state, Time now, Step& step);

// schedule.cpp
void schedule(State& state, Time now, Step& step);
// Should there be a worker in this slot?
bool wanted(const State& state, const Pool& pool, const Slot& slot);

// Finds the slot of a living generation; null if that process is not there (any more).
Slot* find_slot(State& state, WorkerRef worker);
// recovery.cpp: what an earlier engine left.
void on_recover(State& state, Recover&& event, Time now, Step& step);
void on_remember_key(State& state, RememberKey&& event);
void on_adopted(State& state, const WorkerAdopted& event, Time now);
void on_said_again(State& state, const WorkerSaidAgain& event, Time now, Step& step);
// A worker of an earlier engine's has died before it said what it runs: its attempts are over.
void lose_adopted(State& state, WorkerRef worker, bool signaled, int code, Time now, Step& step);
// The task's lasting state has changed.
inline void save(State& state, Task& task, Step& step) {
  if (!state.pools[task.pool].settings.durable || task.unsaved) return;
  task.unsaved = true;
  step.writes.push_back(task.sequence());
}

// schedule() will look at this pool's queue.
void mark_dirty(State& state, PoolIndex pool);
// schedule() will look at this pool's processes too: some may have to be started or retired.
void mark_attend(State& state, PoolIndex pool);

inline void settle_children(State& state, Time now, Step& step) {
  // Those of a parent may be cancelled, and end a group; whom a group releases has not ended.
  if (state.ended_parents.empty()) return;
  settle_ended_parents(state, now, step);
  settle_ended_groups(state, now, step);
}

}  // namespace poold::core
