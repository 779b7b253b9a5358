// What workers say: from their frames to the core's events.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <fstream>
#include <utility>

#include "common/fail_point.hpp"
#include "daemon/engine/app/engine.hpp"

namespace poold::engine {
namespace {

// What a worker may say about why it cannot work.
constexpr std::size_t complaint_size_max = 4096;

}  // namespace

WorkerLink* Engine::find_link(const core::WorkerRef& worker) {
  const auto link = links_.find(worker);
  return link == links_.end() ? nullptr : link->second.get();
}

void Engine::on_worker_result(const core::WorkerRef& worker, const PlainResult& result) {
  pass(FailPoint::result_read);
  owe_acknowledgement(worker, result.task);
  core_.handle(core::WorkerResult{worker, result.task, result.attempt, result.kind, result.exit_code,
                                  spare_buffers_.hold(result.outcome)},
               now_, step_);
  store_ended();
  pass(FailPoint::result_handled);
  if (core_.state().pools[worker.pool].settings.service.memory > 0) look_at_memory(worker);
}

void Engine::look_at_memory(const core::WorkerRef& worker) {
  WorkerLink* link = find_link(worker);
  if (!link || !link->may_look_at_memory(now_.time_since_epoch())) return;
  const std::int32_t pid = core_.state().pools[worker.pool].slots[worker.slot].pid;
  std::ifstream file(fmt::format("/proc/{}/statm", pid));
  std::uint64_t size = 0, resident = 0;
  if (file >> size >> resident)
    post(core::WorkerMemory{worker, resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))});
}

void Engine::on_worker_frame(const core::WorkerRef& worker, const v1::FromWorker& frame) {
  switch (frame.frame_case()) {
    case v1::FromWorker::kResult: {
      const v1::WorkerResult& result = frame.result();
      const v1::Outcome& outcome = result.outcome();
      core::WorkerResult event;
      event.worker = worker;
      event.task = result.task();
      event.attempt = result.attempt();
      // A number beyond the enum is an outcome that no worker can know.
      if (v1::Outcome::Kind_IsValid(outcome.kind()))
        event.kind = static_cast<core::OutcomeKind>(outcome.kind());
      event.exit_code = outcome.exit_code();
      outcome.SerializeToString(&event.body);
      if (outcome.payload().shared_size() > 0) take_result_memory(worker, result, event);
      owe_acknowledgement(worker, event.task);
      core_.handle(std::move(event), now_, step_);
      store_ended();
      if (core_.state().pools[worker.pool].settings.service.memory > 0) look_at_memory(worker);
      return;
    }
    case v1::FromWorker::kHello:
      if (WorkerLink* link = find_link(worker)) {
        link->set_want_ids(frame.hello().want_ids());
        link->set_takes_memory(frame.hello().shared_memory());
        const std::string& complaint = frame.hello().error();
        if (complaint.size() <= complaint_size_max) link->set_complaint(complaint);
        if (!complaint.empty()) return;  // it is about to exit
      }
      if (frame.hello().again()) {
        post(core::WorkerSaidAgain{worker, {frame.hello().owed().begin(), frame.hello().owed().end()}});
        return pass(FailPoint::worker_said_again);
      }
      timer_is_late_ = true;  // it was in time
      return post(core::WorkerHello{worker, frame.hello().one_at_a_time()});
    case v1::FromWorker::kStarted: {
      const core::Task* task = core_.find_live(frame.started().task());
      if (!task || !task->watched || task->slot != worker.slot || task->generation != worker.generation ||
          task->pool != worker.pool || task->attempt != frame.started().attempt())
        return;
      return tell_watchers(task->sequence(), [&](Watcher& watcher) { watcher.on_started(*task); });
    }
    case v1::FromWorker::kOutput: {
      post(core::WorkerOutput{worker, frame.output().task(), frame.output().attempt()});
      const core::Task* task = core_.find_live(frame.output().task());
      if (task && task->watched && task->has_log)
        tell_watchers(task->sequence(), [&](Watcher& watcher) { watcher.on_output(*task); });
      return;
    }
    case v1::FromWorker::kReturned:
      return post(
          core::WorkerReturned{worker, {frame.returned().tasks().begin(), frame.returned().tasks().end()}});
    case v1::FromWorker::kProgress:
      return;  // nobody can ask for it yet
    case v1::FromWorker::kBell:
      return;  // was for the link
    case v1::FromWorker::FRAME_NOT_SET:
      return post(core::WorkerBroken{worker, "it sent a frame that this version does not know", false});
  }
}

void Engine::on_worker_broken(const core::WorkerRef& worker, std::string reason, bool only_closed) {
  post(core::WorkerBroken{worker, std::move(reason), only_closed});
}

void Engine::on_task_too_long(const core::WorkerRef& worker, core::Sequence task, std::uint32_t attempt) {
  v1::Outcome outcome;
  outcome.set_kind(v1::Outcome::REJECTED);
  outcome.mutable_error()->set_type("FrameTooLong");
  outcome.mutable_error()->set_message("the task does not fit into a frame of 16777216 bytes");
  post(
      core::WorkerResult{worker, task, attempt, core::OutcomeKind::rejected, 0, outcome.SerializeAsString()});
}

}  // namespace poold::engine
