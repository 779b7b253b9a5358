// Schedules in scripts: they follow a clock of their own, in seconds, and submit plain tasks.
#include "tests/scenario/stage.hpp"

namespace poold::scenario {

// schedule NAME WORD... (the recurrence) overlap= catch_up= jitter=
void Stage::schedule(Words& words) {
  ScheduleSettings settings;
  settings.name = words.plain("a name");
  std::string text = words.plain("when");
  while (const auto more = words.plain_if_any()) text += " " + *more;
  auto parsed = Recurrence::parse(text);
  if (const auto* wrong = std::get_if<std::string>(&parsed)) throw Mistake(*wrong);
  settings.recurrence = std::get<Recurrence>(std::move(parsed));
  settings.zone = std::make_shared<const TimeZone>();
  const std::string overlap = words.option("overlap").value_or("skip");
  const std::string catch_up = words.option("catch_up").value_or("once");
  settings.overlap = overlap == "queue"     ? Overlap::queue
                     : overlap == "replace" ? Overlap::replace
                                            : Overlap::skip;
  settings.catch_up = catch_up == "all" ? CatchUp::all : catch_up == "none" ? CatchUp::none : CatchUp::once;
  words.read("jitter", settings.jitter);
  const Schedule& made = schedules_.put(std::move(settings), clock_);
  say("due in " + std::to_string(*made.due - clock_) + "s");
}

// The clock on the wall is put on; by `late` all at once, else from one due time to the next.
void Stage::clock(Words& words) {
  const bool late = words.flag("late");
  const std::int64_t begin = clock_;
  const std::int64_t end = clock_ + duration_of(words.plain("a time")) / std::chrono::seconds(1);
  while (clock_ < end || late) {
    const std::int64_t due = schedules_.next_due().value_or(end + 1);
    clock_ = late ? end : std::min(due, end);
    for (const std::string& name : schedules_.take_due(clock_)) {
      Schedule& due_schedule = *schedules_.find(name);
      say("+" + std::to_string(clock_ - begin) + "s " + name);
      run_schedule(due_schedule, overlap_decision(core_->state(), due_schedule));
      end_turn();
    }
    if (clock_ >= end) return;
  }
}

void Stage::run_schedule(Schedule& schedule, OverlapDecision decision) {
  Submit event;
  switch (decision) {
    case OverlapDecision::skip:
      ++schedule.skipped;
      return say("skipped");
    case OverlapDecision::replace_last:
      handle(Cancel{sequence_of(*schedule.last_task)});
      [[fallthrough]];
    case OverlapDecision::run_after_last: {
      const Sequence last = sequence_of(*schedule.last_task);
      if (!core_->state().tasks.find(last)) break;
      event.options = std::make_unique<TaskOptions>();
      event.options->parents.push_back({last, true, std::nullopt});
      break;
    }
    case OverlapDecision::run:
      break;
  }
  event.id = make_task_id(1'700'000'000'000, 7, ++last_);
  schedule.last_task = event.id;
  ++schedule.runs;
  handle(std::move(event));
}

}  // namespace poold::scenario
