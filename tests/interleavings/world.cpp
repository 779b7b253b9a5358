#include "tests/interleavings/world.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "common/overloaded.hpp"

namespace poold::interleavings {
namespace {

// So many events may meet in one turn.
constexpr int events_max = 2;

}  // namespace

std::string_view name(Move move) {
  switch (move) {
    case Move::submit:
      return "submit";
    case Move::cancel_first:
      return "cancel the first";
    case Move::cancel_second:
      return "cancel the second";
    case Move::release_first:
      return "release the first";
    case Move::start_succeeds:
      return "the worker starts";
    case Move::start_fails:
      return "the start fails";
    case Move::hello:
      return "hello";
    case Move::succeeds:
      return "the task succeeds";
    case Move::fails:
      return "the task fails";
    case Move::gives_back:
      return "the worker gives back";
    case Move::dies:
      return "the worker dies";
    case Move::exits:
      return "the worker exits";
    case Move::time_passes:
      return "time passes";
    case Move::turn_ends:
      return "-- end of the turn";
  }
  std::abort();
}

World::World(const Wishes& wishes) : wishes_(wishes) {
  PoolSettings pool;
  pool.name = "p";
  pool.crash_attempts = 2;
  pool.grace = std::chrono::seconds(2);
  handle(Configure{{pool}});
  end_turn();
  if (wishes_.sent_ahead) warm_up();
  judging_ = true;
}

void World::warm_up() {
  take(Move::start_succeeds);
  take(Move::hello);
  end_turn();
  for (; first_ <= 64; ++first_) {
    Submit event;
    event.id = make_task_id(1'700'000'000'000, 7, first_);
    handle(std::move(event));
    end_turn();
    handle(WorkerResult{worker(), first_, 1, OutcomeKind::returned, 0, {}});
    end_turn();
  }
  holds_.clear();
}

std::vector<Move> World::moves() const {
  std::vector<Move> moves;
  if (events_in_turn_ > 0) moves.push_back(Move::turn_ends);
  if (events_in_turn_ == events_max) return moves;
  if (submitted_ < 2) moves.push_back(Move::submit);
  if (submitted_ > 0 && !tasks_[0].cancelled && !tasks_[0].ended) moves.push_back(Move::cancel_first);
  if (submitted_ > 1 && !tasks_[1].cancelled && !tasks_[1].ended) moves.push_back(Move::cancel_second);
  if (wishes_.hold && submitted_ > 0 && !released_) moves.push_back(Move::release_first);
  if (starting_) moves.push_back(Move::start_succeeds);
  if (wishes_.start_may_fail && starting_ && !start_failed_) moves.push_back(Move::start_fails);
  if (alive_ && !said_hello_ && !killed_) moves.push_back(Move::hello);
  if (alive_ && !holds_.empty() && !killed_) moves.push_back(Move::succeeds), moves.push_back(Move::fails);
  if (alive_ && !asked_back_.empty() && !killed_) moves.push_back(Move::gives_back);
  if (alive_ && (killed_ || (deaths_ < wishes_.deaths && said_hello_))) moves.push_back(Move::dies);
  if (alive_ && told_to_go_ && holds_.empty() && !killed_) moves.push_back(Move::exits);
  const bool must_say_hello = alive_ && !said_hello_ && deaths_ >= wishes_.deaths;
  if (events_in_turn_ == 0 && !must_say_hello && core_.next_deadline() != Time::max())
    moves.push_back(Move::time_passes);
  return moves;
}

void World::take_again(Move move) {
  checking_ = false;
  take(move);
  checking_ = true;
}

void World::take(Move move) {
  if (move == Move::turn_ends) return end_turn();
  ++events_in_turn_;
  switch (move) {
    case Move::submit:
      return submit();
    case Move::cancel_first:
      return cancel(0);
    case Move::cancel_second:
      return cancel(1);
    case Move::release_first:
      released_ = true;
      return handle(Release{first_});
    case Move::start_succeeds:
      starting_ = false;
      alive_ = true;
      said_hello_ = told_to_go_ = killed_ = false;
      ++generation_;
      return handle(WorkerStarted{worker(), 1000});
    case Move::start_fails:
      starting_ = false;
      start_failed_ = true;
      return handle(WorkerStartFailed{0, 0, {2, "/no/such/program", "not there"}});
    case Move::hello:
      said_hello_ = true;
      return handle(WorkerHello{worker()});
    case Move::succeeds:
      return report(OutcomeKind::returned);
    case Move::fails:
      return report(OutcomeKind::raised);
    case Move::gives_back: {
      std::vector<Sequence> given;
      for (const Sequence task : std::exchange(asked_back_, {})) {
        const auto at = std::ranges::find(holds_, task);
        if (at == holds_.end() || at == holds_.begin()) continue;  // it runs
        holds_.erase(at);
        given.push_back(task);
      }
      return handle(WorkerReturned{worker(), std::move(given)});
    }
    case Move::dies:
      // One that is killed because it never says hello could be replaced for ever.
      ++deaths_;
      alive_ = false;
      holds_.clear();
      asked_back_.clear();
      return handle(WorkerExited{worker(), true, 9});
    case Move::exits:
      alive_ = false;
      return handle(WorkerExited{worker(), false, 0});
    case Move::time_passes:
      now_ = std::max(now_, core_.next_deadline());
      handle(TimePassed{});
      return require(core_.next_deadline() > now_, "a deadline that was served is still there");
    case Move::turn_ends:
      return;
  }
}

void World::submit() {
  Submit event;
  event.id = make_task_id(1'700'000'000'000, 7, first_ + static_cast<Sequence>(submitted_));
  event.attempts_max = wishes_.attempts;
  auto options = std::make_unique<TaskOptions>();
  const bool first = submitted_ == 0;
  if (wishes_.timeout) options->timeout = std::chrono::seconds(1);
  if (wishes_.limit) options->limits.push_back({"l"});
  if (wishes_.expires && !first) options->time_to_live = std::chrono::seconds(1);
  if (wishes_.backoff) options->backoff = std::chrono::seconds(1);
  if (wishes_.hold && first) options->held = true;
  if (wishes_.parent && !first)
    options->parents.push_back(
        {first_, false, tasks_[0].ended ? std::optional(tasks_[0].well) : std::nullopt});
  const bool plain = !wishes_.timeout && !wishes_.limit && !wishes_.expires && !wishes_.backoff &&
                     !wishes_.hold && !wishes_.parent;
  if (!plain) event.options = std::move(options);
  tasks_[submitted_++].submitted = true;
  handle(std::move(event));
}

void World::cancel(int which) {
  tasks_[which].cancelled = true;
  handle(Cancel{first_ + static_cast<Sequence>(which)});
}

void World::report(OutcomeKind kind) {
  const Sequence task = holds_.front();
  holds_.erase(holds_.begin());
  handle(WorkerResult{worker(), task, known(task).attempts + 1, kind, 0, {}});
}

void World::handle(Event&& event) {
  core_.handle(std::move(event), now_, step_);
  if (!judging_) return;
  check_tables("after an event: ");
  // What a task's end means for others is known at once, before it is told.
  for (const Promise& promise : step_.promises)
    if (const auto* e = std::get_if<Finished>(&promise)) {
      known(e->task.sequence()).ended = true;
      known(e->task.sequence()).well = e->task.state == TaskState::succeeded;
    }
}

void World::check_tables(const char* when) {
  if (!judging_ || !checking_) return;
  if (const std::string broken = broken_invariant(core_.state()); !broken.empty() && complaint_.empty())
    complaint_ = when + broken;
}

void World::end_turn() {
  events_in_turn_ = 0;
  core_.schedule(now_, step_);
  check_tables("after schedule(): ");
  for (const Effect& effect : step_.now) perform(effect);
  for (const Promise& promise : step_.promises) perform(promise);
  step_.clear();
  if (!judging_) return;
  const Pool& pool = core_.state().pools[0];
  require(pool.queue.empty() || pool.slots[0].state != WorkerState::idle,
          "a task waits while the worker idles");
}

void World::perform(const Effect& effect) {
  std::visit(Overloaded{
                 [&](const StartWorker&) {
                   require(!starting_ && !alive_, "a second worker is started");
                   starting_ = true;
                 },
                 [&](const SignalWorker& e) {
                   if (alive_ && e.worker == worker()) killed_ = true;
                 },
                 [&](const StopWorker&) { told_to_go_ = true; },
                 [&](const ReturnTasks& e) {
                   if (alive_ && e.worker == worker()) asked_back_ = e.tasks;
                 },
                 [](const CancelAttempt&) {},
                 [](const SignalAttempt&) {},
                 [](const PoolThrottled&) {},
                 [](const PoolHealed&) {},
                 [](const WorkerCondemned&) {},
                 [](const StopComplete&) {},
             },
             effect);
}

void World::perform(const Promise& promise) {
  if (!judging_) return;
  std::visit(Overloaded{
                 [&](const Accepted&) {},
                 [&](const Refused&) { require(false, "a submission is refused"); },
                 [&](const Dispatch& e) { dispatched(e); },
                 [&](const Finished& e) { finished(e); },
                 [&](const AttemptEnded& e) {
                   Known& task = known(e.task);
                   require(task.runs && e.attempt == task.attempts + 1, "an attempt ends that is none");
                   task.runs = false;
                   if (e.kind != OutcomeKind::unspecified) ++task.attempts;
                 },
             },
             promise);
}

void World::dispatched(const Dispatch& promise) {
  Known& task = known(promise.task);
  require(task.submitted && !task.ended && !task.runs, "a task is sent that runs, or has ended");
  require(!task.cancelled, "a cancelled task is sent");
  require(alive_ && said_hello_ && !killed_ && !told_to_go_ && promise.worker == worker(),
          "a task is sent to a worker that is not there");
  const bool first = promise.task == first_;
  require(!wishes_.parent || first || tasks_[0].well, "a child begins without its parent's success");
  require(!wishes_.limit || !(first ? tasks_[1] : tasks_[0]).runs, "two tasks hold one token");
  require(!wishes_.hold || !first || released_, "a held task begins");
  require(task.attempts < wishes_.attempts + 2, "a task begins too often");
  task.runs = true;
  holds_.push_back(promise.task);
}

void World::finished(const Finished& promise) {
  Known& task = known(promise.task.sequence());
  require(task.submitted, "a task ends that never was");
  require(!std::exchange(task.told, true), "a task ends twice");
  require(!task.cancelled || promise.task.state == TaskState::cancelled, "a cancelled task ends otherwise");
  // An attempt that was sent and never started is none.
  const std::uint32_t open = promise.task.attempt - task.attempts;
  require(open <= (task.runs ? 1 : 0), "a task's attempts have a gap");
  const bool doomed = wishes_.parent && !tasks_[0].well;
  require(task.cancelled || doomed || promise.task.state != TaskState::cancelled,
          "a task is cancelled by nobody");
  task.runs = false;
}

void World::judge_end() {
  for (const Known& task : tasks_) require(task.submitted && task.told, "a task never ends");
  require(core_.state().tasks.size() == 0, "a task is left");
  require(alive_ && said_hello_, "the worker is not there in the end");
}

}  // namespace poold::interleavings
