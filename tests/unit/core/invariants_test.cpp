// Each invariant of tasks, workers and pools notices what it is there for. Those of limits, groups and the
// tables of everything: invariants_of_limits_test.cpp.
#include <gtest/gtest.h>

#include "tests/unit/core/damage.hpp"

namespace poold::core {
namespace {

constexpr auto minus_one = ~std::uint32_t{0};

TEST(Invariants, SeeThatATaskIsNotWhereItSays) {
  expect_complaints({
      {"p: the index does not find a task", [](State& s) { task_of(s, plain).id.low ^= 64; }},
      {"p: a task's neighbours do not know it",
       [](State& s) { task_of(s, plain).previous = &task_of(s, keyed); }},
      {"p: a task's neighbours do not know it", [](State& s) { task_of(s, mortal).previous = nullptr; }},
      {"p/0: a key does not lead to its task", [](State& s) { s.keys.clear(); }},
      {"p/0: a key does not lead to its task", [](State& s) { s.keys.begin()->second.id = {}; }},
      {"p: a task that does not run points elsewhere", [](State& s) { task_of(s, plain).slot = 0; }},
      {"p: a task that does not run points elsewhere", [](State& s) { task_of(s, plain).pool = 1; }},
      {"p/0: a held task points elsewhere", [](State& s) { task_of(s, keyed).pool = 1; }},
      {"p/0: a held task points elsewhere", [](State& s) { task_of(s, keyed).slot = 1; }},
      {"p/0: a held task points elsewhere", [](State& s) { task_of(s, keyed).generation = 9; }},
  });
}

TEST(Invariants, SeeThatAttemptsAreMiscounted) {
  expect_complaints({
      {"p: attempts are not numbered without gaps", [](State& s) { task_of(s, plain).attempt = 5; }},
      {"p: attempts are not numbered without gaps",
       [](State& s) { task_of(s, mortal).options->attempts_before = 2; }},
      {"p/0: a held task has no attempt",
       [](State& s) { task_of(s, keyed).attempt = 0, task_of(s, keyed).uncharged = minus_one; }},
      {"p: poison is tried again",
       [](State& s) {
         task_of(s, plain).attempt = task_of(s, plain).crashes = task_of(s, plain).crash_attempts_max = 3;
       }},
      {"p: a task that was asked to end is tried again",
       [](State& s) { task_of(s, plain).cancelling = true; }},
      {"p: a task that was asked to end is tried again",
       [](State& s) { task_of(s, plain).interrupted = true; }},
      {"p: a task that does not run was asked back", [](State& s) { task_of(s, plain).returning = true; }},
  });
}

TEST(Invariants, SeeThatATaskIsInAnotherState) {
  expect_complaints({
      {"p: a queued task is not QUEUED", [](State& s) { task_of(s, plain).state = TaskState::waiting; }},
      {"p/0: a held task is not RUNNING",
       [](State& s) { task_of(s, keyed).state = TaskState::queued, task_of(s, keyed).attempt = 0; }},
      {"p: a task waits that is not WAITING", [](State& s) { task_of(s, held).state = TaskState::queued; }},
      {"p: a task waits that is not WAITING", [](State& s) { task_of(s, held).options.reset(); }},
      {"p: a task waits that is not WAITING",
       [](State& s) { task_of(s, held).options->parked_at = &limit_of(s); }},
      {"p: a task that must wait is queued", [](State& s) { task_of(s, mortal).options->held = true; }},
      {"p: a task that does not run is timed out",
       [](State& s) { task_of(s, mortal).options->timing_out = true; }},
      {"p: a task's timer is lost", [](State& s) { task_of(s, mortal).options->due_place = 57; }},
      {"p: a parked task does not wait",
       [](State& s) { task_of(s, mortal).options->parked_at = &limit_of(s); }},
  });
}

TEST(Invariants, SeeThatAChildAndItsParentDisagree) {
  expect_complaints({
      {"p: a task does not wait for its parent",
       [](State& s) {
         task_of(s, mortal).options->parents.push_back({keyed, false, std::nullopt});
       }},
      {"db: a task does not wait for its parent",
       [](State& s) {
         task_of(s, parked).options->parents.push_back({keyed, false, std::nullopt});
       }},
      {"p: a parent does not know its child", [](State& s) { s.children.clear(); }},
      {"p: a parent does not know its child", [](State& s) { s.children.at(keyed).clear(); }},
      {"p: a task waits for one that is over",
       [](State& s) { task_of(s, child).options->parents[0].task = 99, s.children[99] = {child}; }},
  });
}

TEST(Invariants, SeeThatAListIsMiscounted) {
  expect_complaints({
      {"p: queue miscounted",
       [](State& s) { s.pools[0].queue.push_back(stray_task()), task_of(s, mortal).next = nullptr; }},
      {"p: those who wait are miscounted",
       [](State& s) { s.pools[0].waiting.push_back(stray_task()), task_of(s, held).next = nullptr; }},
      {"p/0: held list miscounted",
       [](State& s) { slot_of(s, 0, 0).held.push_back(stray_task()), task_of(s, keyed).next = nullptr; }},
      {"p: running miscounted", [](State& s) { ++s.pools[0].running; }},
  });
}

TEST(Invariants, SeeThatAWorkerIsInAnotherState) {
  expect_complaints({
      {"p/0: a worker that has said nothing holds a task",
       [](State& s) { slot_of(s, 0, 0).state = WorkerState::starting; }},
      {"p/0: a worker that has said nothing holds a task",
       [](State& s) { slot_of(s, 0, 0).state = WorkerState::vacant; }},
      {"p/0: a worker without work holds a task",
       [](State& s) { slot_of(s, 0, 0).state = WorkerState::idle; }},
      {"q/0: a busy worker holds nothing", [](State& s) { slot_of(s, 1, 0).state = WorkerState::busy; }},
      {"q/0: a start over a living process", [](State& s) { slot_of(s, 1, 0).start_requested = true; }},
      {"q/0: pid and state disagree", [](State& s) { slot_of(s, 1, 0).pid = 0; }},
      {"q/0: pid and state disagree", [](State& s) { slot_of(s, 1, 0).state = WorkerState::vacant; }},
      {"q/0: ready without a hello", [](State& s) { slot_of(s, 1, 0).hello = false; }},
      {"p/0: ready without a hello", [](State& s) { slot_of(s, 0, 0).hello = false; }},
      {"q/0: stopping without a reason", [](State& s) { slot_of(s, 1, 0).stop_reason = StopReason::closed; }},
      {"q/0: stopping without a reason", [](State& s) { slot_of(s, 1, 0).state = WorkerState::stopping; }},
      {"q/0: an idle worker that nobody would find", [](State& s) { slot_of(s, 1, 0).in_idle = false; }},
      {"q/0: the idle list is wrong", [](State& s) { s.pools[1].idle.push_back(0); }},
      {"q/0: the idle list is wrong", [](State& s) { s.pools[1].idle.clear(); }},
      {"q/0: a slot does not know whether it is part of the pool",
       [](State& s) { slot_of(s, 1, 0).removed = true; }},
      {"q/0: an outdated worker that nobody will replace",
       [](State& s) { slot_of(s, 1, 0).outdated = true; }},
  });
}

TEST(Invariants, SeeThatAPoolIsWrong) {
  expect_complaints({
      {"p: there are fewer slots than the pool is large", [](State& s) { s.pools[0].size = 5; }},
      {"p: there are fewer slots than the pool is large", [](State& s) { s.pools[0].surge = true; }},
      {"p: a pool's least number is above its largest", [](State& s) { s.pools[0].min = 9; }},
      {"p: a pool has fewer slots open than its least number",
       [](State& s) { slot_of(s, 0, 0).closed = true; }},
      {"p: a queue outlives the stop", [](State& s) { s.stopping = true; }},
      {"p: the list of changed pools is wrong", [](State& s) { s.dirty.push_back(0); }},
      {"p: the list of changed pools is wrong", [](State& s) { s.pools[0].dirty = true; }},
      {"p: processes that nobody would look at", [](State& s) { s.pools[0].attend = true; }},
      {"p: name lost", [](State& s) { s.pool_names.clear(); }},
      {"p: name lost", [](State& s) { s.pool_names.at("p") = 1; }},
  });
}

}  // namespace
}  // namespace poold::core
