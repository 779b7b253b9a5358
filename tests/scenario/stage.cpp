// The verbs of scripts. README.md lists them.
#include "tests/scenario/stage.hpp"

#include <algorithm>

#include "common/task_id.hpp"
#include "daemon/core/explain.hpp"
#include "tests/unit/core/record.hpp"

namespace poold::scenario {
namespace {

// As the store would give it back.
Task copy_of(const Task& task) {
  Task copy;
  copy.id = task.id;
  copy.submitted_at = task.submitted_at;
  copy.started_at = task.started_at;
  if (task.key) copy.key = std::make_unique<std::string>(*task.key);
  if (task.options) {
    copy.options = std::make_unique<TaskOptions>(*task.options);
    TaskOptions& options = *copy.options;
    for (LimitUse& use : options.limits) use = {use.name, use.tokens};
    options.parked_at = options.offered_by = nullptr;
    options.offered = 0;
    options.timing_out = false;
    options.due = Time::max();
    options.due_place = 0;
  }
  copy.pool = task.pool, copy.priority = task.priority, copy.uid = task.uid;
  copy.generation = task.generation, copy.last_slot = task.last_slot, copy.last_pid = task.last_pid;
  copy.attempt = task.attempt, copy.failures = task.failures, copy.crashes = task.crashes;
  copy.uncharged = task.uncharged;
  copy.attempts_max = task.attempts_max, copy.crash_attempts_max = task.crash_attempts_max;
  copy.state = task.state, copy.cancelling = task.cancelling, copy.stored = true;
  return copy;
}

OutcomeKind kind_of(std::string_view text) {
  for (int i = 0; i <= static_cast<int>(OutcomeKind::rejected); ++i) {
    std::string known(name(static_cast<OutcomeKind>(i)));
    std::ranges::transform(known, known.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    if (known == text) return static_cast<OutcomeKind>(i);
  }
  throw Mistake("'" + std::string(text) + "' is no outcome such as returned or timed_out");
}

// 10/s, 5/10s
Rate rate_of(Words& words) {
  Rate rate;
  if (const auto text = words.option("rate")) {
    const auto parts = parts_of(*text, '/');
    if (parts.size() != 2) throw Mistake("'" + *text + "' is no rate such as 1/10s");
    rate = {number_of(parts[0]), duration_of(parts[1]), 1};
  }
  words.read("burst", rate.burst);
  return rate;
}

std::string text_of_reason(const Reason& reason, Time now) {
  const std::string until = reason.until ? " for " + text_of(*reason.until - now) : "";
  switch (reason.kind) {
    case Reason::Kind::held:
      return "it is held";
    case Reason::Kind::not_due:
      return "it is not due" + until;
    case Reason::Kind::parent:
      return "it waits for " + std::to_string(reason.parent);
    case Reason::Kind::limit:
      return "limit " + reason.limit + ": wants " + std::to_string(reason.wanted) + ", " +
             std::to_string(reason.used) + " of " + std::to_string(reason.size) + " used";
    case Reason::Kind::limit_rate:
      return "limit " + reason.limit + " lets nothing start" + until;
    case Reason::Kind::pool_paused:
      return "its pool is paused by " + std::to_string(reason.uid);
    case Reason::Kind::pool_throttled:
      return "its pool is throttled" + until;
    case Reason::Kind::pool_rate:
      return "its pool lets nothing start" + until;
    case Reason::Kind::no_workers:
      return "no worker is ready";
    case Reason::Kind::workers_busy:
      return "all workers are busy";
    case Reason::Kind::behind_others:
      return std::to_string(reason.ahead) + " stand before it";
    case Reason::Kind::group:
      return std::to_string(reason.ahead) + " of group " + reason.group + " have not ended";
  }
  std::abort();
}

}  // namespace

std::vector<std::string> Stage::play(std::string_view line) {
  for (const std::string& part : parts_of(line, ';')) {
    Words words(part);
    command(words);
    words.finish();
  }
  end_turn();
  return std::exchange(trace_, {});
}

void Stage::command(Words& words) {
  if (client_command(words) || operator_command(words) || process_command(words) || other_command(words))
    return;
  throw Mistake("there is no verb '" + words.verb() + "'; README.md lists them");
}

bool Stage::client_command(Words& words) {
  const std::string& verb = words.verb();
  if (verb == "submit") {
    submit(words);
    return true;
  }
  if (verb != "cancel" && verb != "hold" && verb != "release" && verb != "retry" && verb != "explain" &&
      verb != "signal")
    return false;
  while (const auto word = words.plain_if_any()) {
    const Sequence number = task_of(*word);
    if (verb == "cancel") handle(Cancel{number});
    if (verb == "hold") handle(Hold{number});
    if (verb == "release") handle(Release{number});
    if (verb == "signal") handle(SignalTask{number, 15});
    if (verb == "retry") retry(number);
    if (verb == "explain") explain(number);
  }
  return true;
}

void Stage::submit(Words& words) {
  Submit event;
  std::uint32_t count = 1;
  if (const auto text = words.plain_if_any(); text && *text != "held" && *text != "keep") {
    count = number_of(*text);
  } else if (text) {
    throw Mistake("submit: '" + *text + "' is written " + *text + "=1");
  }
  if (const auto name = words.option("pool")) event.pool = pool_of(*name);
  words.read("priority", event.priority);
  words.read("uid", event.uid);
  words.read("attempts", event.attempts_max);
  words.read("crash_attempts", event.crash_attempts_max);
  const auto key = words.option("key");
  words.read("payload", event.digest);
  const auto asked = options(words);
  for (; count > 0; --count) {
    Submit one;
    one.id = make_task_id(1'700'000'000'000, 7, ++last_);
    one.pool = event.pool, one.priority = event.priority, one.uid = event.uid, one.digest = event.digest;
    one.attempts_max = event.attempts_max, one.crash_attempts_max = event.crash_attempts_max;
    if (key) one.key = std::make_unique<std::string>(*key);
    if (asked) one.options = std::make_unique<TaskOptions>(*asked);
    digests_[last_] = event.digest;
    handle(std::move(one));
  }
}

std::unique_ptr<TaskOptions> Stage::options(Words& words) const {
  TaskOptions asked;
  bool any = false;
  const auto duration = [&](std::string_view name, Duration& value) {
    if (const auto text = words.option(name)) any = true, value = duration_of(*text);
  };
  Duration delay{}, grace = Duration(-1);
  duration("delay", delay);
  if (delay > Duration{}) asked.not_before = now_ + delay;
  duration("ttl", asked.time_to_live);
  duration("timeout", asked.timeout);
  duration("deadline", asked.deadline);
  duration("backoff", asked.backoff);
  duration("backoff_max", asked.backoff_max);
  duration("grace", grace);
  if (grace >= Duration{}) asked.grace = grace;
  if (const auto text = words.option("retry_on")) {
    any = true;
    for (const std::string& part : parts_of(*text, ',')) {
      if (part[0] >= '0' && part[0] <= '9') {
        asked.retry_on.codes.push_back(number_of<int>(part));
      } else {
        asked.retry_on.add(kind_of(part));
      }
    }
  }
  while (const auto text = words.option("limit")) {
    any = true;
    const auto parts = parts_of(*text, ':');
    asked.limits.push_back({parts[0], parts.size() > 1 ? number_of(parts[1]) : 1});
  }
  for (const char* name : {"after", "after_any"}) {
    const auto text = words.option(name);
    if (!text) continue;
    any = true;
    for (const std::string& part : parts_of(*text, ',')) {
      Parent parent{number_of<Sequence>(part), name[5] != '\0', std::nullopt};
      const bool lives = core_->state().tasks.find(parent.task) != nullptr;
      // What ended badly is kept here; of the others we know that they ended well.
      if (!lives) parent.succeeded = !ended_.contains(parent.task);
      asked.parents.push_back(parent);
    }
  }
  if (const auto name = words.option("group")) any = true, asked.group = *name;
  if (const auto name = words.option("after_group")) any = true, asked.after_group = *name;
  if (words.option("keep")) any = true, asked.cancel_with_parent = false;
  if (words.option("held")) any = true, asked.held = true;
  return any ? std::make_unique<TaskOptions>(std::move(asked)) : nullptr;
}

void Stage::retry(Sequence number) {
  const auto at = ended_.find(number);
  if (at == ended_.end()) throw Mistake("task " + std::to_string(number) + " has not ended badly");
  if (refusal_of_retry(core_->state(), at->second)) return say("refused");
  Task task = std::move(at->second);
  ended_.erase(at);
  handle(Retry{std::move(task)});
}

void Stage::explain(Sequence number) {
  end_turn();  // so that it is told what was decided
  const Task* task = core_->state().tasks.find(number);
  if (!task) return say("it has ended");
  say(std::to_string(number) + " is " + std::string(name(task->state)));
  for (const Reason& reason : core::explain(core_->state(), *task, now_))
    say("  " + text_of_reason(reason, now_));
}

bool Stage::operator_command(Words& words) {
  const std::string& verb = words.verb();
  if (verb == "pool") {
    pool(words);
  } else if (verb == "without") {
    const PoolIndex index = pool_of(words.plain("a pool"));
    std::erase_if(pools_,
                  [&](const PoolSettings& p) { return p.name == core_->state().pools[index].settings.name; });
    handle(Configure{pools_, {}, workers_max_});
  } else if (verb == "workers_max") {
    workers_max_ = number_of(words.plain("a number"));
    handle(Configure{pools_, {}, workers_max_});
  } else if (verb == "limit") {
    set_limit(words);
  } else if (verb == "unlimit") {
    handle(RemoveLimit{words.plain("a limit")});
  } else if (verb == "scale") {
    const PoolIndex index = pool_of(words.plain("a pool"));
    handle(ScalePool{index, number_of(words.plain("a number"))});
  } else if (verb == "pause") {
    std::uint32_t uid = 0;
    words.read("uid", uid);
    handle(PausePool{pool_of(words.plain("a pool")), uid});
  } else if (verb == "drain") {
    handle(DrainPool{pool_of(words.plain("a pool"))});
  } else if (verb == "resume") {
    handle(ResumePool{pool_of(words.plain("a pool"))});
  } else if (verb == "recycle") {
    handle(RecyclePool{pool_of(words.plain("a pool"))});
  } else if (verb == "stop") {
    handle(StopAll{duration_of(words.plain("a time"))});
  } else {
    return false;
  }
  return true;
}

void Stage::pool(Words& words) {
  PoolSettings settings;
  settings.name = words.flag("durable") ? (settings.durable = true, "") : "";
  settings.name = words.plain("a name");
  settings.program = "program";
  settings.grace = std::chrono::seconds(2);
  settings.service.spread = 0;
  words.read("workers", settings.workers);
  if (const auto text = words.option("min")) settings.workers_min = number_of(*text);
  words.read("spare", settings.spare);
  words.read("idle", settings.idle_timeout);
  words.read("recycle_tasks", settings.service.tasks);
  words.read("recycle_age", settings.service.age);
  words.read("recycle_memory", settings.service.memory);
  words.read("max_tasks", settings.tasks_per_worker);
  words.read("queue", settings.queue_size);
  words.read("user_tasks", settings.user_tasks_max);
  words.read("crash_attempts", settings.crash_attempts);
  words.read("ageing", settings.ageing);
  words.read("grace", settings.grace);
  if (const auto text = words.option("program")) settings.program = *text;
  if (const auto text = words.option("shares")) {
    for (const std::string& part : parts_of(*text, ',')) {
      const auto pair = parts_of(part, ':');
      if (pair.size() != 2) throw Mistake("'" + part + "' is no share such as 1000:5");
      settings.shares.push_back({number_of(pair[0]), number_of(pair[1])});
    }
  }
  settings.rate = rate_of(words);
  const auto known = std::ranges::find(pools_, settings.name, &PoolSettings::name);
  known == pools_.end() ? pools_.push_back(settings) : void(*known = settings);
  handle(Configure{pools_, {}, workers_max_});
}

void Stage::set_limit(Words& words) {
  LimitSettings limit;
  limit.name = words.plain("a name");
  limit.size = number_of(words.plain("a size"));
  limit.rate = rate_of(words);
  handle(SetLimit{std::move(limit)});
}

bool Stage::process_command(Words& words) {
  const std::string& verb = words.verb();
  if (verb == "ready" || verb == "started" || verb == "start_fails") {
    auto word = words.plain_if_any();
    if (!word && verb == "ready") {
      all_say_hello();
    } else if (!word) {
      throw Mistake(verb + ": which slot?");
    }
    for (; word; word = words.plain_if_any()) {
      const Place place = place_of(*word);
      if (std::erase(starting_, place) == 0) throw Mistake("nobody asked for a start of " + *word);
      if (verb == "start_fails")
        handle(WorkerStartFailed{place.first, place.second, {2, "/no/such/program", "not there"}});
      else
        start(place, verb == "ready");
    }
    return true;
  }
  if (verb == "result") {
    result(words);
    return true;
  }
  const bool known = verb == "hello" || verb == "exits" || verb == "killed" || verb == "closes" ||
                     verb == "breaks" || verb == "memory" || verb == "returned" || verb == "says_again";
  if (!known) return false;
  const WorkerRef worker = worker_of(words.plain("a worker"));
  if (verb == "hello") handle(WorkerHello{worker, words.flag("one_at_a_time")});
  if (verb == "exits") handle(WorkerExited{worker, false, number_of<int>(words.plain("a code"))});
  if (verb == "killed") handle(WorkerExited{worker, true, 9});
  if (verb == "closes") handle(WorkerBroken{worker, "closed its results", true});
  if (verb == "breaks") handle(WorkerBroken{worker, "garbage", false});
  if (verb == "memory") handle(WorkerMemory{worker, number_of<std::uint64_t>(words.plain("bytes"))});
  std::vector<Sequence> tasks;
  while (const auto word = words.plain_if_any()) tasks.push_back(number_of<Sequence>(*word));
  if (verb == "returned") handle(WorkerReturned{worker, tasks});
  if (verb == "says_again") handle(WorkerSaidAgain{worker, tasks});
  return true;
}

void Stage::start(Place place, bool hello) {
  const WorkerRef worker{place.first, place.second, ++generations_[place]};
  handle(WorkerStarted{worker, static_cast<std::int32_t>(1000 * (place.second + 1) + worker.generation)});
  if (hello) handle(WorkerHello{worker});
}

void Stage::all_say_hello() {
  end_turn();
  while (!starting_.empty()) {
    const Place place = starting_.front();
    starting_.erase(starting_.begin());
    start(place, true);
    end_turn();
  }
}

void Stage::result(Words& words) {
  WorkerResult event;
  event.task = task_of(words.plain("a task"));
  event.kind = kind_of(words.plain("an outcome"));
  if (const auto code = words.plain_if_any()) event.exit_code = number_of<int>(*code);
  if (const Task* task = core_->state().tasks.find(event.task)) {
    event.worker = {task->pool, task->slot, task->generation};
    event.attempt = task->attempt;
  }
  words.read("attempt", event.attempt);
  words.read("generation", event.worker.generation);
  handle(std::move(event));
}

bool Stage::other_command(Words& words) {
  const std::string& verb = words.verb();
  if (verb == "advance") {
    end_turn();
    advance(duration_of(words.plain("a time")));
  } else if (verb == "crash") {
    crash(words);
  } else if (verb == "warm") {
    warm(pool_of(words.plain("a pool")));
  } else if (verb == "schedule") {
    schedule(words);
  } else if (verb == "clock") {
    clock(words);
  } else {
    return false;
  }
  return true;
}

void Stage::advance(Duration by) {
  const Time begin = now_, end = now_ + by;
  while (core_->next_deadline() <= end) {
    now_ = std::max(now_, core_->next_deadline());
    const std::size_t before = trace_.size();
    handle(TimePassed{});
    end_turn();
    if (trace_.size() > before)
      trace_.insert(trace_.begin() + static_cast<std::ptrdiff_t>(before), "+" + text_of(now_ - begin));
    if (core_->next_deadline() <= now_) return say("a deadline that was served is still there");
  }
  now_ = end;
}

// So many tasks that take no time that others are sent ahead afterwards. Not part of the trace.
void Stage::warm(PoolIndex pool) {
  end_turn();
  std::vector<std::string> before = std::move(trace_);
  for (int i = 0; i < 400; ++i) {
    Submit event;
    event.id = make_task_id(1'700'000'000'000, 7, ++last_);
    event.pool = pool;
    handle(std::move(event));
    end_turn();
    const Task* task = core_->state().tasks.find(last_);
    if (!task || task->state != TaskState::running) throw Mistake("warm: no worker is idle");
    handle(WorkerResult{{pool, task->slot, task->generation}, last_, 1, OutcomeKind::returned, 0, {}});
    end_turn();
  }
  trace_ = std::move(before);
}

// The engine is gone; the next finds what was written, and the workers that are named, alive.
void Stage::crash(Words& words) {
  std::vector<WorkerRef> living;
  std::vector<std::int32_t> pids;
  while (const auto word = words.plain_if_any()) {
    living.push_back(worker_of(*word));
    pids.push_back(core_->state().pools[living.back().pool].slots[living.back().slot].pid);
  }
  core_ = std::make_unique<Core>();
  step_.clear();
  starting_.clear();
  handle(Configure{pools_, {}, workers_max_});
  for (std::size_t i = 0; i < living.size(); ++i) handle(WorkerAdopted{living[i], pids[i]});
  std::vector<Task> tasks;
  for (const auto& [number, task] : stored_) tasks.push_back(copy_of(task));
  for (Task& task : tasks) {
    const Sequence number = task.sequence();
    handle(Recover{std::move(task), digests_[number]});
  }
}

void Stage::remember(const Task& task) { stored_.insert_or_assign(task.sequence(), copy_of(task)); }

void Stage::handle(Event&& event) {
  core_->handle(std::move(event), now_, step_);
  if (const std::string broken = broken_invariant(core_->state()); !broken.empty())
    say("BROKEN INVARIANT: " + broken);
}

void Stage::end_turn() {
  core_->schedule(now_, step_);
  if (const std::string broken = broken_invariant(core_->state()); !broken.empty())
    say("BROKEN INVARIANT: " + broken);
  for (const Effect& effect : step_.now) {
    say(line(core_->state(), effect));
    if (const auto* e = std::get_if<StartWorker>(&effect)) starting_.emplace_back(e->pool, e->slot);
  }
  for (const Sequence number : step_.writes) {
    Task* task = core_->find_live(number);
    if (!task) continue;
    task->unsaved = false;
    remember(*task);
  }
  for (Promise& promise : step_.promises) {
    say(line(core_->state(), promise));
    if (const auto* e = std::get_if<Dispatch>(&promise)) core_->sent(e->worker, e->task, now_);
    if (auto* e = std::get_if<Finished>(&promise)) {
      const Sequence number = e->task.sequence();
      stored_.erase(number);
      if (e->task.state != TaskState::succeeded) ended_.insert_or_assign(number, std::move(e->task));
    }
  }
  step_.clear();
}

PoolIndex Stage::pool_of(std::string_view name) const {
  const auto at = core_->state().pool_names.find(std::string(name));
  if (at == core_->state().pool_names.end()) throw Mistake("there is no pool '" + std::string(name) + "'");
  return at->second;
}

Stage::Place Stage::place_of(std::string_view text) const {
  const auto parts = parts_of(text, '/');
  if (parts.size() != 2) throw Mistake("'" + std::string(text) + "' is no slot such as p/0");
  return {pool_of(parts[0]), number_of(parts[1])};
}

// p/0 is who is there now, p/0.1 a generation.
WorkerRef Stage::worker_of(std::string_view text) const {
  const auto parts = parts_of(text, '.');
  const Place place = place_of(parts[0]);
  const auto now = generations_.find(place);
  const Generation generation = parts.size() > 1            ? number_of(parts[1])
                                : now == generations_.end() ? 0
                                                            : now->second;
  return {place.first, place.second, generation};
}

Sequence Stage::task_of(std::string_view text) const {
  const auto number = number_of<Sequence>(text);
  if (number == 0 || number > last_) throw Mistake("there is no task " + std::string(text) + " yet");
  return number;
}

}  // namespace poold::scenario
