// Core: hands each event to its handler.
#include "daemon/core/core.hpp"

#include <utility>

#include "common/overloaded.hpp"
#include "daemon/core/handlers.hpp"
#include "daemon/core/sizing.hpp"

namespace poold::core {

void Core::handle(Event&& event, Time now, Step& step) {
  State& s = state_;
  std::visit(Overloaded{
                 [&](Submit& e) { on_submit(s, std::move(e), now, step); },
                 [&](Cancel& e) { on_cancel(s, e, now, step); },
                 [&](SignalTask& e) { on_signal(s, e, step); },
                 [&](Hold& e) { on_hold(s, e, now, step); },
                 [&](Release& e) { on_release(s, e, now, step); },
                 [&](Retry& e) { on_retry(s, std::move(e), now, step); },
                 [&](Recover& e) { on_recover(s, std::move(e), now, step); },
                 [&](RememberKey& e) { on_remember_key(s, std::move(e)); },
                 [&](ForgetKey& e) { on_forget_key(s, e); },
                 [&](RememberMember& e) { on_remember_member(s, e); },
                 [&](ForgetMember& e) { on_forget_member(s, e); },
                 [&](Configure& e) { on_configure(s, e, now); },
                 [&](AddPool& e) { on_add_pool(s, e, now); },
                 [&](RemovePool& e) { on_remove_pool(s, e); },
                 [&](SetLimit& e) { on_set_limit(s, e, now); },
                 [&](RemoveLimit& e) { on_remove_limit(s, e, now); },
                 [&](ScalePool& e) { on_scale(s, e); },
                 [&](PausePool& e) { on_pause(s, e, now, step); },
                 [&](DrainPool& e) { on_drain(s, e); },
                 [&](ResumePool& e) { on_resume(s, e); },
                 [&](RecyclePool& e) { on_recycle(s, e); },
                 [&](StopAll& e) { on_stop_all(s, e, now, step); },
                 [&](WorkerStarted& e) { on_started(s, e, now); },
                 [&](WorkerStartFailed& e) { on_start_failed(s, std::move(e), now, step); },
                 [&](WorkerHello& e) { on_hello(s, e, step); },
                 [&](WorkerAdopted& e) { on_adopted(s, e, now); },
                 [&](WorkerSaidAgain& e) { on_said_again(s, e, now, step); },
                 [&](WorkerExited& e) { on_exited(s, e, now, step); },
                 [&](WorkerBroken& e) { on_broken(s, std::move(e), now, step); },
                 [&](WorkerResult& e) { on_result(s, std::move(e), now, step); },
                 [&](WorkerReturned& e) { on_returned(s, e, now, step); },
                 [&](WorkerOutput& e) { on_output(s, e); },
                 [&](WorkerMemory& e) { on_memory(s, e); },
                 [&](TimePassed&) { on_time_passed(s, now, step); },
             },
             event);
  settle_children(s, now, step);
}

void Core::handle(Submit&& event, Time now, Step& step) {
  on_submit(state_, std::move(event), now, step);
  settle_children(state_, now, step);
}

void Core::handle(WorkerResult&& event, Time now, Step& step) {
  on_result(state_, std::move(event), now, step);
  settle_children(state_, now, step);
}

void Core::schedule(Time now, Step& step) { core::schedule(state_, now, step); }

// Only now can it have started.
void Core::sent(const WorkerRef& worker, Sequence task, Time now) {
  const Slot* slot = find_slot(state_, worker);
  Task* found = slot ? state_.tasks.find(task) : nullptr;
  if (!found || found->slot != worker.slot || found->generation != worker.generation) return;
  found->withheld = false;
  if (slot->held.front() == found) state_.pools[worker.pool].slots[worker.slot].head_since = now;
}

const Pool* Core::find_pool(const std::string& name) const {
  const auto at = state_.pool_names.find(name);
  return at == state_.pool_names.end() ? nullptr : &state_.pools[at->second];
}

Slot* find_slot(State& state, WorkerRef worker) {
  if (worker.pool >= state.pools.size()) return nullptr;
  auto& slots = state.pools[worker.pool].slots;
  if (worker.slot >= slots.size()) return nullptr;
  Slot& slot = slots[worker.slot];
  return slot.state != WorkerState::vacant && slot.generation == worker.generation ? &slot : nullptr;
}

void mark_dirty(State& state, PoolIndex pool) {
  if (std::exchange(state.pools[pool].dirty, true)) return;
  state.dirty.push_back(pool);
}

void mark_attend(State& state, PoolIndex pool) {
  state.pools[pool].attend = true;
  mark_dirty(state, pool);
}

}  // namespace poold::core
