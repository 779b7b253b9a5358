#include "daemon/engine/control/process_message.hpp"

namespace poold::engine {
namespace {

// As Python's multiprocessing has it: what a process exits with, or minus the signal that ended it.
int exit_code_of(const v1::Outcome& outcome) {
  if (outcome.kind() == v1::Outcome::RETURNED) return 0;
  if (outcome.has_signal()) return -outcome.signal();
  if (outcome.has_exit_code()) return outcome.exit_code();
  return outcome.kind() == v1::Outcome::CANCELLED ? -15 : 1;
}

}  // namespace

bool is_process(const Backend& backend, const core::Task& task) {
  return backend.state().pools[task.pool].settings.name.find(process_mark) != std::string::npos;
}

std::string base_of(const Backend& backend, const core::Task& task) {
  const std::string& name = backend.state().pools[task.pool].settings.name;
  return name.substr(0, name.find(process_mark));
}

void fill_process(const Backend& backend, const Found& found, v1::Process& message) {
  const core::Task& task = *found.task();
  v1::Task as_task;
  fill_task(backend, found, as_task);
  message.set_id(as_task.id());
  message.set_name(as_task.name());
  message.set_pool(base_of(backend, task));
  message.set_state(as_task.state());
  message.set_uid(task.uid);
  message.set_pid(as_task.placement().pid());
  if (as_task.has_started_at()) *message.mutable_started_at() = as_task.started_at();
  if (const MadePool* made = found.live ? backend.made_pool(task.pool) : nullptr)
    message.set_daemon(made->temporary);
  if (!found.ended) return;
  *message.mutable_ended_at() = as_task.ended_at();
  *message.mutable_outcome() = as_task.outcome();
  message.set_exit_code(exit_code_of(as_task.outcome()));
}

}  // namespace poold::engine
