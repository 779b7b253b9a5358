// What the workers of a simulation do: their work, and their lies.
#include <algorithm>

#include "tests/sim/simulation.hpp"

namespace poold::sim {

void Simulation::act_as_worker(Worker& worker) {
  if (!worker.closed && !worker.up.empty() && !worker.unreadable && random_.chance(50)) {
    std::vector<Message> messages;
    const bool readable = worker.up.read_all(random_, faults_, messages);
    arrive(worker, messages, readable);
  }
  if (worker.closed || worker.stuck) return;
  if (random_.chance(worker.held.size() > 1 ? 20 : 8)) return lie(worker);
  if (worker.told_to_stop && random_.chance(50)) return;  // in no hurry
  work_honestly(worker);
}

// Mostly it arrives at once; else it is on its way until the worker speaks again, or dies.
void Simulation::say(Worker& worker, const Message& message) {
  worker.up.write(message);
  if (worker.unreadable) return;
  std::vector<Message> messages;
  const bool late = random_.chance(fast_ ? 2 : 15);
  if (late) faults_.count(Fault::frames_late);
  const bool readable =
      late ? worker.up.read_some(random_, faults_, messages) : worker.up.read_all(random_, faults_, messages);
  arrive(worker, messages, readable);
}

void Simulation::arrive(Worker& worker, const std::vector<Message>& messages, bool readable) {
  for (const Message& message : messages) heard(worker, message);
  if (readable) return;
  worker.unreadable = true;
  handle(WorkerBroken{worker.ref, "garbage", false});
}

// As the engine's end of the pipe tells the core.
void Simulation::heard(const Worker& worker, const Message& message) {
  switch (message.frame) {
    case from_worker::hello:
      return handle(WorkerHello{worker.ref});
    case from_worker::result:
      return handle(
          WorkerResult{worker.ref, message.task(), message.attempt, message.kind, message.exit_code, "body"});
    case from_worker::returned:
      return handle(WorkerReturned{worker.ref, message.tasks});
    case from_worker::output:
      return handle(WorkerOutput{worker.ref, message.task(), message.attempt});
    default:
      return require(false, "a worker's frame became another");
  }
}

// To a worker: it reads whatever comes, whole or in pieces.
void Simulation::tell(Worker& worker, const Message& message) {
  worker.down.write(message);
  std::vector<Message> messages;
  require(worker.down.read_all(random_, faults_, messages) && messages.size() == 1,
          "what was sent to a worker is not what it reads");
  for (const Message& heard : messages) {
    switch (heard.frame) {
      case to_worker::task:
        worker.held.push_back({heard.task(), heard.attempt});
        break;
      case to_worker::cancel:
        worker.cancelled.insert(heard.task());
        break;
      case to_worker::give_back:
        worker.asked_back = heard.tasks;
        break;
      case to_worker::stop:
        worker.told_to_stop = true;
        break;
      default:
        require(false, "a frame to a worker became another");
    }
  }
}

bool Simulation::work_honestly(Worker& worker) {
  if (!worker.hello) {
    worker.hello = true;
    say(worker, {.frame = from_worker::hello});
    return true;
  }
  if (worker.asked_back) {
    answer_return(worker, false);
    return true;
  }
  if (worker.held.empty()) {
    if (!worker.told_to_stop) return false;
    exits({worker.ref.pool, worker.ref.slot}, false, 0);
    return true;
  }
  // A cancelled task that has not started is answered at once.
  for (std::size_t i = 1; i < worker.held.size(); ++i) {
    if (!worker.cancelled.contains(worker.held[i].task)) continue;
    report_result(worker, i, OutcomeKind::cancelled);
    return true;
  }
  if (worker.cancelled.contains(worker.held.front().task) && random_.chance(worker.stubborn ? 0 : 70)) {
    report_result(worker, 0, OutcomeKind::cancelled);
    return true;
  }
  constexpr OutcomeKind kinds[] = {OutcomeKind::returned, OutcomeKind::returned, OutcomeKind::returned,
                                   OutcomeKind::exited,   OutcomeKind::raised,   OutcomeKind::signaled,
                                   OutcomeKind::rejected, OutcomeKind::timed_out};
  report_result(worker, 0, kinds[random_.below(std::size(kinds))], static_cast<int>(random_.below(3)));
  return true;
}

void Simulation::report_result(Worker& worker, std::size_t position, OutcomeKind kind, int exit_code) {
  const Held held = worker.held[position];
  worker.held.erase(worker.held.begin() + static_cast<std::ptrdiff_t>(position));
  if (kind == OutcomeKind::returned || (kind == OutcomeKind::exited && exit_code == 0))
    known(held.task).succeeded = true;
  known(held.task).said = kind;
  known(held.task).said_code = kind == OutcomeKind::exited ? exit_code : 0;
  say(worker, {from_worker::result, {held.task}, held.attempt, false, kind, exit_code});
}

void Simulation::answer_return(Worker& worker, bool even_the_running_one) {
  std::vector<Sequence> given;
  for (std::size_t i = worker.held.size(); i-- > (even_the_running_one ? 0u : 1u);) {
    const Sequence number = worker.held[i].task;
    if (std::ranges::find(*worker.asked_back, number) == worker.asked_back->end()) continue;
    given.insert(given.begin(), number);
    worker.held.erase(worker.held.begin() + static_cast<std::ptrdiff_t>(i));
  }
  worker.asked_back.reset();
  say(worker, {.frame = from_worker::returned, .tasks = std::move(given)});
}

void Simulation::lie(Worker& worker) {
  const Sequence number = random_.below(last_ + 2);
  switch (random_.below(10)) {
    case 0:
      if (worker.hello) faults_.count(Fault::worker_says_hello_twice);
      worker.hello = true;
      return say(worker, {.frame = from_worker::hello});
    case 1:
      faults_.count(Fault::returns_what_was_not_asked);
      worker.asked_back.reset();
      return say(worker, {.frame = from_worker::returned, .tasks = {number, number, last_ + 7}});
    case 2:
      if (!worker.asked_back) return;
      faults_.count(Fault::returns_what_runs);
      return answer_return(worker, true);
    case 3:
      faults_.count(Fault::worker_closes_pipe);
      worker.closed = true;
      return handle(WorkerBroken{worker.ref, "closed its results", true});
    case 4:
      if (random_.chance(50)) return;
      faults_.count(Fault::worker_sends_garbage);
      worker.up.write_garbage();
      return;
    case 5:
      faults_.count(Fault::output_of_other_task);
      return say(worker, {.frame = from_worker::output, .tasks = {number}, .attempt = 1});
    case 6:
      faults_.count(Fault::worker_hangs);
      worker.stuck = true;
      return;
    case 7:
      worker.stubborn = true;
      return;
    default:
      if (!worker.held.empty()) lie_about_results(worker);
      return;
  }
}

void Simulation::lie_about_results(Worker& worker) {
  const Held first = worker.held.front();
  Message result{from_worker::result, {first.task}, first.attempt, false, OutcomeKind::returned, 0};
  // Beyond what there will be: a frame may be late, and by then the next one may be there.
  constexpr std::uint32_t never = 1'000'000;
  switch (random_.below(6)) {
    case 0:
      faults_.count(Fault::result_of_other_attempt);
      result.attempt += never;
      return say(worker, result);
    case 1:
      faults_.count(Fault::result_of_unknown_task);
      result.tasks = {last_ + never};
      return say(worker, result);
    case 2:
      faults_.count(Fault::result_impossible);
      result.kind = OutcomeKind::worker_lost;
      return say(worker, result);
    case 3:
      faults_.count(Fault::result_cancelled_by_nobody);
      return report_result(worker, random_.below(worker.held.size()), OutcomeKind::cancelled);
    case 4: {
      const std::size_t position = random_.below(worker.held.size());
      if (position > 0) faults_.count(Fault::result_out_of_order);
      report_result(worker, position, OutcomeKind::returned);
      if (random_.chance(50)) return;
      faults_.count(Fault::result_twice);
      known(first.task).succeeded = true;  // it may be what the worker had not said yet
      known(first.task).said = OutcomeKind::returned;
      std::erase_if(worker.held, [&](const Held& held) { return held.task == first.task; });
      return say(worker, result);
    }
    default:
      faults_.count(Fault::task_forgotten);
      worker.held.pop_front();
      worker.stuck = true;
  }
}

}  // namespace poold::sim
