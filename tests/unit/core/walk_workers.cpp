// What the workers of a random walk do: their work, and their lies.
#include <algorithm>

#include "tests/unit/core/walk.hpp"

namespace poold::core {

void Walk::act_as_worker(Worker& worker) {
  if (worker.closed) return;
  if (random_.chance(8)) return lie(worker);
  if (worker.told_to_stop && random_.chance(50)) return;  // in no hurry
  work_honestly(worker);
}

bool Walk::work_honestly(Worker& worker) {
  if (!worker.hello) {
    worker.hello = true;
    handle(WorkerHello{worker.ref});
    return true;
  }
  if (worker.asked_back) {
    answer_return(worker, false);
    return true;
  }
  if (worker.held.empty()) {
    if (worker.told_to_stop)
      exits({worker.ref.pool, worker.ref.slot}, false, 0);
    else
      return false;
    return true;
  }
  // A cancelled task that has not started is answered at once.
  for (std::size_t i = 1; i < worker.held.size(); ++i) {
    if (!worker.cancelled.contains(worker.held[i].task)) continue;
    report_result(worker, i, OutcomeKind::cancelled);
    return true;
  }
  if (worker.cancelled.contains(worker.held.front().task) && random_.chance(70)) {
    report_result(worker, 0, OutcomeKind::cancelled);
    return true;
  }
  constexpr OutcomeKind kinds[] = {OutcomeKind::returned, OutcomeKind::returned, OutcomeKind::returned,
                                   OutcomeKind::exited,   OutcomeKind::raised,   OutcomeKind::signaled,
                                   OutcomeKind::rejected, OutcomeKind::timed_out};
  report_result(worker, 0, kinds[random_.below(std::size(kinds))], static_cast<int>(random_.below(2)));
  return true;
}

void Walk::report_result(Worker& worker, std::size_t position, OutcomeKind kind, int exit_code) {
  const Held held = worker.held[position];
  worker.held.erase(worker.held.begin() + static_cast<std::ptrdiff_t>(position));
  if (kind == OutcomeKind::returned || (kind == OutcomeKind::exited && exit_code == 0))
    tasks_[held.task].succeeded = true;
  handle(WorkerResult{worker.ref, held.task, held.attempt, kind, exit_code, "body"});
}

void Walk::answer_return(Worker& worker, bool even_the_running_one) {
  std::vector<Sequence> given;
  for (std::size_t i = worker.held.size(); i-- > (even_the_running_one ? 0u : 1u);) {
    const Sequence number = worker.held[i].task;
    if (std::ranges::find(*worker.asked_back, number) == worker.asked_back->end()) continue;
    given.insert(given.begin(), number);
    worker.held.erase(worker.held.begin() + static_cast<std::ptrdiff_t>(i));
  }
  worker.asked_back.reset();
  handle(WorkerReturned{worker.ref, std::move(given)});
}

void Walk::lie(Worker& worker) {
  const Sequence number = random_.below(last_ + 2);
  switch (random_.below(8)) {
    case 0:
      worker.hello = true;
      return handle(WorkerHello{worker.ref});
    case 1:
      worker.asked_back.reset();
      return handle(WorkerReturned{worker.ref, {number, number, last_ + 7}});
    case 2:
      if (worker.asked_back) answer_return(worker, true);
      return;
    case 3:
      worker.closed = true;
      return handle(WorkerBroken{worker.ref, "closed its results", true});
    case 4:
      if (random_.chance(50)) handle(WorkerBroken{worker.ref, "garbage", false});
      return;
    case 5:
      return handle(WorkerOutput{worker.ref, number, 1});
    default:
      if (!worker.held.empty()) lie_about_results(worker);
      return;
  }
}

void Walk::lie_about_results(Worker& worker) {
  const Held first = worker.held.front();
  WorkerResult result{worker.ref, first.task, first.attempt, OutcomeKind::returned, 0, "lie"};
  switch (random_.below(6)) {
    case 0:
      ++result.attempt;
      return handle(std::move(result));
    case 1:
      result.task = last_ + 1;
      return handle(std::move(result));
    case 2:
      result.kind = OutcomeKind::worker_lost;
      return handle(std::move(result));
    case 3:
      return report_result(worker, random_.below(worker.held.size()), OutcomeKind::cancelled);
    case 4:  // out of order, and twice
      report_result(worker, random_.below(worker.held.size()), OutcomeKind::returned);
      if (random_.chance(50)) {
        tasks_[first.task].succeeded = true;  // it may be what the worker had not said yet
        std::erase_if(worker.held, [&](const Held& held) { return held.task == first.task; });
        handle(std::move(result));
      }
      return;
    default:
      worker.held.pop_front();
      worker.forgetful = true;
  }
}

}  // namespace poold::core
