// The tasks that the engine sent ahead, in order, until they are started, given back or cancelled.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <unordered_set>
#include <utility>

#include "client/cpp/src/worker_channel.hpp"
#include "poold/v1/worker.pb.h"

namespace poold::worker {

class WaitingTasks {
 public:
  explicit WaitingTasks(Outbox& outbox) : outbox_(outbox) {}

  bool empty() const { return tasks_.empty(); }
  std::size_t size() const { return tasks_.size(); }
  auto begin() const { return tasks_.begin(); }
  auto end() const { return tasks_.end(); }

  void push(v1::WorkerTask&& task) { tasks_.push_back(std::move(task)); }
  v1::WorkerTask pop() {
    v1::WorkerTask task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }
  void clear() { tasks_.clear(); }

  // Answered with CANCELLED if it is here.
  void cancel(const v1::WorkerCancel& request) {
    const auto found = std::find_if(tasks_.begin(), tasks_.end(), [&](const v1::WorkerTask& task) {
      return task.task() == request.task() && task.attempt() == request.attempt();
    });
    if (found == tasks_.end()) return;
    tasks_.erase(found);
    auto& result = *reply_.mutable_result();
    result.set_task(request.task());
    result.set_attempt(request.attempt());
    result.mutable_outcome()->set_kind(v1::Outcome::CANCELLED);
    outbox_.add_result(reply_, request.task());
  }

  // Answered with those that are here.
  void give_back(const v1::WorkerReturn& request) {
    const std::unordered_set<std::uint64_t> asked(request.tasks().begin(), request.tasks().end());
    auto& returned = *reply_.mutable_returned();
    returned.clear_tasks();
    std::erase_if(tasks_, [&](const v1::WorkerTask& task) {
      if (!asked.contains(task.task())) return false;
      returned.add_tasks(task.task());
      return true;
    });
    outbox_.add(reply_);
  }

 private:
  Outbox& outbox_;
  std::deque<v1::WorkerTask> tasks_;
  v1::FromWorker reply_;  // reused
};

}  // namespace poold::worker
