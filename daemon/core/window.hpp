// How many tasks are sent ahead to a worker, and when they are asked back.
//
// Sending ahead hides the way through the pipe: a worker that holds the next task need not wait for it. It
// must never make a task wait: no task stands more than 10 ms behind a running one while another worker
// idles. So tasks are sent ahead only as long as they have proved short, and asked back after half of that
// time.
#pragma once

#include "daemon/core/core.hpp"

namespace poold::core {

inline constexpr Duration task_wait_max = std::chrono::milliseconds(10);
inline constexpr Duration take_back_after = task_wait_max / 2;
// A worker that gives tasks back later than this could not do it while its function ran (one that holds the
// interpreter), or had no processor to do it. Until the answer it gets nothing more, and then one task at a
// time for so many times as long as the answer took: at most a tenth of the time can be lost to waiting
// behind such a function, and a machine that was busy for a moment is soon forgiven.
inline constexpr Duration return_patience = std::chrono::milliseconds(10);
inline constexpr int distrust_factor = 10;
// So much work is sent ahead. Long enough to hide a scheduling delay, short beside take_back_after.
inline constexpr Duration run_ahead = std::chrono::milliseconds(1);
static_assert(run_ahead < take_back_after);
// Of a durable pool: what is handed to a worker goes to the disk first, and the next result frees its place
// only after another commit. So much work hides two or three commits of a common disk.
inline constexpr Duration run_ahead_durable = std::chrono::milliseconds(5);
static_assert(run_ahead_durable <= take_back_after);
static_assert(run_ahead < run_time_max);
// A window beyond this gains nothing: 1,024 tiny frames fill a pipe.
inline constexpr std::uint32_t window_max = 1024;

// How many tasks a worker of this pool may hold at once, at least 1.
std::uint32_t window(const Pool& pool);

// Asks a worker for every task that it holds behind the running one.
void ask_back(State& state, WorkerRef worker, Time now, Step& step);
// The worker has answered ask_back().
void judge_return(Slot& slot, Time now);
// May this worker get a task beside the one that it runs?
bool may_send_ahead(const Slot& slot, Time now);
// Looks again when the running task has held others up for take_back_after.
void arm_head_watch(State& state, WorkerRef worker);

}  // namespace poold::core
