// The handlers behind Core::handle, one a thing that can happen, and the moves they share. Private to the
// core.
#pragma once

#include "daemon/core/core.hpp"

namespace poold::core {

// submission.cpp
void on_submit(State& state, Submit&& event, Time now, Step& step);
void on_cancel(State& state, const Cancel& event, Time now, Step& step);
void on_signal(State& state, const SignalTask& event, Step& step);
void on_forget_key(State& state, const ForgetKey& event);
// How long the first task of a worker may go on after its cancel.
Duration cancel_patience(const Pool& pool);
// Looks whether the cancelled, running task has ended, after the pool's patience.
void arm_cancel_overdue(State& state, const Task& task, Time now);

// attempt.cpp: how attempts end.
void on_result(State& state, WorkerResult&& event, Time now, Step& step);
void on_returned(State& state, const WorkerReturned& event, Time now, Step& step);
void on_output(State& state, const WorkerOutput& event);
// The task leaves the core with this outcome; `final_state` is one of the three that absorb. It must be in no
// list.
void finish(State& state, Task& task, TaskState final_state, OutcomeKind kind, std::string body, Time now,
            Step& step);
void finish_cancelled(State& state, Task& task, Time now, Step& step);
// The worker of these tasks is gone: the first is charged, the others go back to the queue.
void end_attempts_of_lost_worker(State& state, WorkerRef worker, bool signaled, int code, Time now,
                                 Step& step);
// A task that its worker holds but never started goes back where it came from; its attempt never was.
void take_back(State& state, Pool& pool, Slot& slot, Task& task, Time now, Step& step);

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
void on_scale(State& state, const ScalePool& event);
void on_pause(State& state, const PausePool& event, Time now, Step& step);
void on_drain(State& state, const DrainPool& event);
void on_resume(State& state, const ResumePool& event);
void on_recycle(State& state, const RecyclePool& event);
void on_stop_all(State& state, const StopAll& event, Time now, Step& step);

// timers.cpp
void on_time_passed(State& state, Time now, Step& step);

// schedule.cpp
void schedule(State& state, Time now, Step& step);
// Should there be a worker in this slot?
bool wanted(const State& state, const Pool& pool, const Slot& slot);

// Finds the slot of a living generation; null if that process is not there (any more).
Slot* find_slot(State& state, WorkerRef worker);
// schedule() will look at this pool's queue.
void mark_dirty(State& state, PoolIndex pool);
// schedule() will look at this pool's processes too: some may have to be started or retired.
void mark_attend(State& state, PoolIndex pool);

}  // namespace poold::core
