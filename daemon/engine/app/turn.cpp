// The end of a turn: schedule, perform, write.
#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

#include "common/fail_point.hpp"
#include "common/overloaded.hpp"
#include "daemon/engine/app/engine.hpp"
#include "daemon/engine/app/task_log.hpp"
#include "daemon/engine/control/pool_message.hpp"
#include "daemon/engine/control/task_message.hpp"
#include "daemon/journal/journal.hpp"

namespace poold::engine {
namespace {

std::string describe(const core::State& state, const core::WorkerRef& worker) {
  return fmt::format("worker {}/{} generation {}", state.pools[worker.pool].settings.name, worker.slot,
                     worker.generation);
}

// What it was before this turn may have started it.
core::TaskState before_start(const core::Task& task) {
  return task.state == core::TaskState::waiting ? core::TaskState::waiting : core::TaskState::queued;
}

}  // namespace

void Engine::end_turn() {
  // Performing may cause more: a client that is closed cancels its tasks. What it causes belongs to this
  // turn.
  do {
    // Last, so that an answer that is there already is not taken for one that is late.
    if (std::exchange(time_passed_, false)) core_.handle(core::TimePassed{}, now_, step_);
    core_.schedule(now_, step_);
    store_ended();
    std::swap(step_, performing_);
    std::swap(ended_, performing_ended_);
    stored_ = 0;
    pass(FailPoint::turn_decided);
    for (const core::Effect& effect : performing_.now)
      if (!durable_ || !waits_for_commit(effect)) perform(effect);
    if (durable_) withhold();
    perform_promises(performing_.promises, performing_ended_);
    performing_.clear();
    performing_ended_.clear();
    flush_all();
    if (!room_waits_.empty()) offer_room();
    if (stop_complete_ && withheld_.empty()) {
      stop_complete_ = false;
      perform(core::StopComplete{});
    }
  } while (!step_.empty() || !flushes_.empty() || !link_flushes_.empty() || !after_commit_.empty());
  // What is left goes in the next turn, which comes at once.
  if (!store_.trim(now_)) boost::asio::post(loop_, [this] { now(); });
  if (!batch_.empty()) writer_->write(std::exchange(batch_, {}));
  measurements_.turns.add(std::chrono::steady_clock::now().time_since_epoch() - now_.time_since_epoch());
  in_turn_ = false;
  // Not in the turn that began it: what has arrived meanwhile is read first.
  if (leaving_ && std::exchange(left_turn_, true)) return leave_if_settled();
  arm_timer();
  expect_answer();
}

// Where tasks come one by one. Who waits for the disk, or has more than one to hear from, has something
// better to do with the processor, or leaves it to those who have.
void Engine::expect_answer() {
  const std::size_t workers = std::exchange(written_workers_, 0);
  const std::size_t clients = std::exchange(written_clients_, 0);
  if (workers + clients == 1 && withheld_.empty())
    busy_poll_.begin(workers ? waits_for_worker_ : waits_for_client_);
}

void Engine::offer_room() {
  for (RoomWait& wait : std::exchange(room_waits_, {})) {
    const auto waiter = wait.waiter.lock();
    if (!waiter) continue;
    // Looked at one after the other: each that is let in takes its place.
    if (core::is_full(core_.state(), core_.state().pools[wait.pool], wait.uid))
      room_waits_.push_back(std::move(wait));
    else
      waiter->on_room();
  }
}

void Engine::flush_all() {
  // Workers first: while clients are written to, they work.
  std::swap(link_flushes_, flushing_links_);
  written_workers_ += flushing_links_.size();
  for (const auto& link : flushing_links_) link->flush();
  if (!flushing_links_.empty()) pass(FailPoint::workers_written_to);
  flushing_links_.clear();
  std::swap(flushes_, flushing_);
  written_clients_ += flushing_.size();
  for (const auto& peer : flushing_) peer->flush();
  if (!flushing_.empty()) pass(FailPoint::clients_written_to);
  flushing_.clear();
}

void Engine::arm_timer() {
  const core::Time deadline = std::min(core_.next_deadline(), store_.next_expiry());
  // A timer that rings too early finds nothing to do; setting it anew each turn would cost more.
  if (deadline == timer_at_ || (deadline > timer_at_ && !std::exchange(timer_is_late_, false))) return;
  timer_at_ = deadline;
  if (deadline == core::Time::max()) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(std::chrono::steady_clock::time_point(deadline.time_since_epoch()));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    timer_at_ = core::Time::max();
    now();
    time_passed_ = true;
  });
}

void Engine::perform(const core::Effect& effect) {
  const core::State& state = core_.state();
  std::visit(Overloaded{
                 [&](const core::StartWorker& e) {
                   internal::ToSupervisor message;
                   message.mutable_start()->set_pool(state.pools[e.pool].settings.name);
                   message.mutable_start()->set_slot(e.slot);
                   if (const MadePool* made = made_pool(e.pool)) {
                     message.mutable_start()->set_base(made->base);
                     message.mutable_start()->set_of_template(made->of_template);
                   }
                   supervisor_.send(message);
                 },
                 [&](const core::SignalWorker& e) { signal_worker(e.worker, e.signal); },
                 [&](const core::StopWorker& e) {
                   v1::ToWorker frame;
                   frame.mutable_stop();
                   if (WorkerLink* link = find_link(e.worker)) link->send(frame);
                 },
                 [&](const core::ReturnTasks& e) {
                   v1::ToWorker frame;
                   for (const core::Sequence task : e.tasks) frame.mutable_return_()->add_tasks(task);
                   if (WorkerLink* link = find_link(e.worker)) link->send(frame);
                 },
                 [&](const core::CancelAttempt& e) {
                   pass(FailPoint::cancel_unsaid);
                   v1::ToWorker frame;
                   frame.mutable_cancel()->set_task(e.task);
                   frame.mutable_cancel()->set_attempt(e.attempt);
                   if (e.timed_out) frame.mutable_cancel()->set_reason(v1::WorkerCancel::TIMED_OUT);
                   *frame.mutable_cancel()->mutable_grace() =
                       google::protobuf::util::TimeUtil::NanosecondsToDuration(e.grace.count());
                   if (WorkerLink* link = find_link(e.worker))
                     link->send(frame);
                   else
                     cancel_orphan(e.worker);
                 },
                 [&](const core::SignalAttempt& e) {
                   v1::ToWorker frame;
                   frame.mutable_signal()->set_task(e.task);
                   frame.mutable_signal()->set_attempt(e.attempt);
                   frame.mutable_signal()->set_signal(static_cast<std::uint32_t>(e.signal));
                   if (WorkerLink* link = find_link(e.worker)) link->send(frame);
                 },
                 [&](const core::PoolThrottled& e) {
                   const core::Pool& pool = state.pools[e.pool];
                   const auto& failure = pool.start_failure;
                   const LogFields about{{"POOLD_POOL", pool.settings.name}};
                   spdlog::warn("pool {}: cannot start a worker ({} in a row): {}{}; next try in {} ms",
                                pool.settings.name, pool.start_failures, failure.message,
                                failure.errno_value
                                    ? " (" + errno_name(failure.errno_value) + ", " + failure.path + ")"
                                    : "",
                                std::chrono::duration_cast<std::chrono::milliseconds>(e.delay).count());
                   if (pool.settings.one_task) give_up_process(e.pool);
                 },
                 [&](const core::PoolHealed& e) {
                   const LogFields about{{"POOLD_POOL", state.pools[e.pool].settings.name}};
                   spdlog::info("pool {}: workers start again", state.pools[e.pool].settings.name);
                 },
                 [&](const core::WorkerCondemned& e) {
                   const LogFields about{{"POOLD_POOL", state.pools[e.worker.pool].settings.name}};
                   spdlog::warn("{} is killed: {}", describe(state, e.worker), e.reason);
                 },
                 [&](const core::StopComplete&) {
                   internal::ToSupervisor message;
                   message.mutable_stopped();
                   supervisor_.send(message);
                   leave();
                 },
             },
             effect);
}

// The task whose key was used again: on_store_troubled() may have refused it since.
bool Engine::is_refused_since(const TaskId& id) const {
  const core::Sequence number = sequence_of(id);
  return unaccepted_.contains(number) || (!core_.state().tasks.find(number) && !store_.find(number));
}

void Engine::perform_promises(std::vector<core::Promise>& promises, const std::vector<const Record*>& ended) {
  std::size_t next_ended = 0;
  for (core::Promise& promise : promises) {
    std::visit(Overloaded{
                   [&](core::Accepted& p) {
                     pass(FailPoint::acceptance_untold);
                     const auto client = find_client(p.client);
                     if (client && p.duplicate && is_refused_since(p.id)) [[unlikely]]
                       client->on_refused({p.client, p.tag, core::Refusal::store_trouble, p.pool});
                     else if (client)
                       client->on_accepted(p);
                     const core::Task* task = event_listeners_.empty() || p.duplicate
                                                  ? nullptr
                                                  : core_.find_live(sequence_of(p.id));
                     if (task) publish({p.id, task->pool, before_start(*task), 0, {}});
                   },
                   [&](core::Refused& p) {
                     if (const auto client = find_client(p.client)) client->on_refused(p);
                   },
                   [&](core::Dispatch& p) { dispatch(p); },
                   [&](core::Finished&) { finish(*ended[next_ended++]); },
                   [&](core::AttemptEnded& p) {
                     core::Task* task = core_.find_live(p.task);
                     if (!task) return;
                     if (p.kind != core::OutcomeKind::unspecified)
                       log_attempt_end(core_.state().pools[task->pool].settings.name, task->id, p.attempt,
                                       p.kind, true);
                     if (task->watched)
                       tell_watchers(p.task, [&](Watcher& watcher) { watcher.on_attempt_ended(*task); });
                     publish({task->id, task->pool, before_start(*task), p.attempt, p.kind});
                   },
               },
               promise);
  }
}

void Engine::dispatch(const core::Dispatch& dispatch) {
  pass(FailPoint::attempt_recorded);
  const core::Task* task = core_.find_live(dispatch.task);
  WorkerLink* link = find_link(dispatch.worker);
  if (!task || !link) return;
  // Its client was told that it is refused: it ends as it would if its worker gave it back unbegun.
  if (!unaccepted_.empty() && unaccepted_.contains(dispatch.task))
    return post(core::WorkerResult{
        dispatch.worker, dispatch.task, task->attempt, core::OutcomeKind::cancelled, 0, {}});
  const std::string id = link->want_ids() ? to_string(task->id) : std::string();
  const OutgoingTask outgoing{dispatch.task, task->attempt, id, task->spec, task->watched};
  const TaskMemory* memory = memory_of(*task);
  if (memory && memory->argument) [[unlikely]]
    dispatch_with_memory(*link, *task, memory->argument, outgoing);
  else
    link->send_task(outgoing);
  pass(FailPoint::attempt_dispatched);
  if (durable_) core_.sent(dispatch.worker, dispatch.task, now_);
  publish({task->id, task->pool, core::TaskState::running, task->attempt, {}});
}

void Engine::finish(const Record& record) {
  pass(FailPoint::outcome_untold);
  const core::Task& task = record.task;
  log_attempt_end(core_.state().pools[task.pool].settings.name, task.id, task.attempt, record.kind, false);
  if (task.options) [[unlikely]]
    settle_memory(record);
  if (const auto client = find_client(task.client)) client->on_finished(record);
  if (task.watched) {
    tell_watchers(task.sequence(), [&](Watcher& watcher) { watcher.on_ended(record); });
    watchers_.erase(task.sequence());
  }
  publish({task.id, task.pool, task.state, task.attempt, record.kind});
}

void Engine::tell_watchers(core::Sequence task, const std::function<void(Watcher&)>& tell) {
  std::vector<std::shared_ptr<Watcher>> told;
  const auto [begin, end] = watchers_.equal_range(task);
  for (auto at = begin; at != end;) {
    if (auto watcher = at->second.lock()) {
      told.push_back(std::move(watcher));
      ++at;
    } else {
      at = watchers_.erase(at);
    }
  }
  for (const auto& watcher : told) tell(*watcher);
}

void Engine::publish(const StateChange& change) {
  if (event_listeners_.empty()) return;
  for (const auto& weak : event_listeners_)
    if (const auto listener = weak.lock()) (*listener)(change);
}

std::uint64_t Engine::log_bytes(const core::Task& task) const {
  std::uint64_t bytes = 0;
  if (!task.had_log) return bytes;
  for (std::uint32_t attempt = 1; attempt <= task.attempt; ++attempt) {
    struct stat status {};
    // Blocks, not the size: the middle of a long log is a hole.
    if (::stat(log_path(task.pool, task.id, attempt).c_str(), &status) == 0)
      bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  return bytes;
}

void Engine::forget(const Record& record) {
  if (record.task.key) post(core::ForgetKey{*record.task.key, record.task.id});
  if (record.task.options && !record.task.options->group.empty())
    post(core::ForgetMember{record.task.uid, record.task.options->group, record.task.state});
  pass(FailPoint::record_forgotten);
  if (record.task.stored) batch_.emplace_back(StoredEnd{record.task.id});
  if (!record.task.had_log) return;
  for (std::uint32_t attempt = 1; attempt <= record.task.attempt; ++attempt)
    ::unlink(log_path(record.task.pool, record.task.id, attempt).c_str());
}

}  // namespace poold::engine
