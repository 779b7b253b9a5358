// What an earlier engine left: tasks that had not ended, and the keys of those that had.
//
// They come one by one, before anything is scheduled, in the order of their numbers, which is the order in
// which they were submitted.
#include <utility>

#include "common/invariant.hpp"
#include "daemon/core/handlers.hpp"

namespace poold::core {

void on_recover(State& state, Recover&& event, Time now, Step& step) {
  invariant(event.task.pool < state.pools.size() && state.pools[event.task.pool].settings.durable,
            "what is recovered belongs to a durable pool");
  Task& task = state.tasks.put_back(std::move(event.task));
  if (task.key) state.keys.emplace(*task.key, KeyEntry{task.id, event.digest});
  count_user_task(state, task);
  if (task.options) join_others(state, task);
  // Whoever cancelled it was told so; what its process would have said can make no difference.
  if (task.cancelling) return finish_cancelled(state, task, now, step);
  place(state, task, now);
  if (task.options) settle_parents(state, task, now, step);
}

void on_remember_key(State& state, RememberKey&& event) {
  state.keys.emplace(std::move(event.key), event.entry);
}

}  // namespace poold::core
