// How many workers a pool has, and when one has served its time.
//
// A pool has between `min` and `size` workers. It opens slots as there is work: one for each busy worker,
// each queued task, and `spare` more; and closes those whose workers have idled for `idle_timeout`. All pools
// together have at most State::workers_max: first comes every pool's minimum and one worker where there is
// work, then what work needs, then what is spare. Where their minimums, one at least for each, are more than
// that (pools were scaled or made before a smaller number was configured), none has a minimum, so that none
// starves.
//
// Workers are replaced after so many tasks, at an age, or beyond a size in memory, one at a time: the new one
// is ready before the old one goes, in a slot beside the pool's own (Pool::surge), so that there are never
// fewer than there were. `spread` makes each worker's limits a little smaller, each by another part, so that
// workers that began together do not end together.
#pragma once

#include "daemon/core/core.hpp"

namespace poold::core {

inline bool elastic(const Pool& pool) { return pool.min < pool.size; }
// After a change of what pools there are, of their numbers, or of the number of all.
void fit_least_numbers(State& state);
// Opens slots for the work that there is; were there any to open?
bool open_slots(Pool& pool);
// Closes slots of workers that have idled long enough.
void close_idle_slots(State& state, PoolIndex index, Time now);
// Looks later whether any have, where there are more than are needed: the queue may have got shorter without
// them.
void watch_idle_slots(State& state, PoolIndex index, Time now);
// May another process be started in this pool? If not, the pool is looked at again when there is room, which
// another may have to make.
bool find_room(State& state, PoolIndex index, Time now);
void ring_room_check(State& state);
// A process has gone, or idles and could go.
void offer_room(State& state);
// Replaces outdated workers, the next when all others are ready, an idle one before a busy one.
void recycle(State& state, PoolIndex index, Time now, Step& step);
// From its start on.
void begin_service(State& state, WorkerRef worker, Time now);
void wear_out(State& state, WorkerRef worker);
void on_memory(State& state, const WorkerMemory& event);

}  // namespace poold::core
