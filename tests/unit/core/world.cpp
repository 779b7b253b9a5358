#include "tests/unit/core/world.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "tests/unit/core/record.hpp"

namespace poold::core {

PoolSettings pool_settings(std::string name, std::uint32_t workers) {
  PoolSettings settings;
  settings.name = std::move(name);
  settings.workers = workers;
  settings.crash_attempts = 3;
  settings.grace = 2s;
  settings.program = "program";
  return settings;
}

Submit task(std::int32_t priority) {
  Submit event;
  event.priority = priority;
  return event;
}

Submit keyed_task(std::string key, std::uint64_t digest) {
  Submit event;
  event.key = std::make_unique<std::string>(std::move(key));
  event.digest = digest;
  return event;
}

World::World(std::vector<PoolSettings> pools) { turn(Configure{std::move(pools)}); }

World::World(std::uint32_t workers) : World({pool_settings("p", workers)}) {
  ready_all();
  forget();
}

World::~World() { expect({}); }

void World::check(const char* when) {
  const std::string broken = broken_invariant(core.state());
  EXPECT_EQ(broken, "") << when;
}

void World::handle(Event&& event) {
  core.handle(std::move(event), now_, step_);
  check("after an event");
}

void World::end_turn() {
  core.schedule(now_, step_);
  check("after schedule()");
  for (const Effect& effect : step_.now) {
    record_.push_back(line(core.state(), effect));
    if (const auto* start = std::get_if<StartWorker>(&effect))
      outstanding_starts_.emplace_back(start->pool, start->slot);
  }
  for (const Sequence number : step_.writes) {
    Task* task = core.find_live(number);
    if (task) task->unsaved = false;
    record_.push_back("save " + std::to_string(number) + (task ? "" : ", which has ended"));
  }
  for (const Promise& promise : step_.promises) record_.push_back(line(core.state(), promise));
  step_.clear();
}

void World::advance(Duration by) {
  const Time end = now_ + by;
  while (core.next_deadline() <= end) {
    now_ = std::max(now_, core.next_deadline());
    turn(TimePassed{});
    ASSERT_GT(core.next_deadline(), now_) << "a deadline that has been served must be over";
  }
  now_ = end;
}

int World::wake_ups_until_quiet(int limit) {
  int count = 0;
  while (core.next_deadline() != Time::max() && count < limit) {
    now_ = std::max(now_, core.next_deadline());
    turn(TimePassed{});
    ++count;
  }
  return count;
}

TaskId World::id(Sequence number) const { return make_task_id(1'700'000'000'000 + number, 77, number); }

Sequence World::submit(Submit&& event) {
  event.id = id(++last_);
  turn(std::move(event));
  return last_;
}

Sequence World::submit_many(std::uint32_t count, std::int32_t priority) {
  const Sequence first = last_ + 1;
  for (std::uint32_t i = 0; i < count; ++i) {
    Submit event = task(priority);
    event.id = id(++last_);
    core.handle(std::move(event), now_, step_);
  }
  end_turn();
  return first;
}

WorkerRef World::started(std::uint32_t slot, PoolIndex pool) {
  const std::pair place{pool, slot};
  const auto start = std::ranges::find(outstanding_starts_, place);
  EXPECT_NE(start, outstanding_starts_.end()) << "no start was asked for in slot " << slot;
  if (start != outstanding_starts_.end()) outstanding_starts_.erase(start);
  auto known = std::ranges::find(generations_, place, &decltype(generations_)::value_type::first);
  if (known == generations_.end()) known = generations_.insert(known, {place, 0});
  const WorkerRef worker{pool, slot, ++known->second};
  turn(WorkerStarted{worker, static_cast<std::int32_t>(1000 * (slot + 1) + worker.generation)});
  return worker;
}

WorkerRef World::ready(std::uint32_t slot, PoolIndex pool) {
  const WorkerRef worker = started(slot, pool);
  turn(WorkerHello{worker});
  return worker;
}

void World::ready_all() {
  while (!outstanding_starts_.empty()) {
    const auto [pool, slot] = outstanding_starts_.front();
    ready(slot, pool);
  }
}

void World::start_failed(std::uint32_t slot, PoolIndex pool) {
  const auto start = std::ranges::find(outstanding_starts_, std::pair{pool, slot});
  ASSERT_NE(start, outstanding_starts_.end()) << "no start was asked for in slot " << slot;
  outstanding_starts_.erase(start);
  turn(WorkerStartFailed{pool, slot, {2, "/no/such/program", "No such file or directory"}});
}

WorkerResult World::result_of(Sequence number, OutcomeKind kind) const {
  WorkerResult result;
  result.task = number;
  result.kind = kind;
  if (const Task* running = find(number)) {
    result.worker = {running->pool, running->slot, running->generation};
    result.attempt = running->attempt;
  }
  return result;
}

void World::finish(Sequence number, OutcomeKind kind, std::string body) {
  WorkerResult result = result_of(number, kind);
  result.body = std::move(body);
  turn(std::move(result));
}

void World::make_tasks_short() {
  for (int i = 0; i < 400; ++i) {
    const Sequence number = submit();
    finish(number);
  }
  forget();
}

void World::expect(std::initializer_list<std::string> lines, std::source_location where) {
  const std::vector<std::string> seen = std::exchange(record_, {});
  if (std::ranges::equal(seen, lines)) return;
  std::string text;
  for (const std::string& line : seen) text += "  " + line + "\n";
  text += "expected was:\n";
  for (const std::string& line : lines) text += "  " + line + "\n";
  ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line())) << "what happened:\n" << text;
}

std::vector<Sequence> World::queued(PoolIndex index) const {
  std::vector<Sequence> numbers;
  pool(index).queue.each([&](const Task& queued) { numbers.push_back(queued.sequence()); });
  return numbers;
}

std::vector<Sequence> World::held(std::uint32_t number, PoolIndex index) const {
  std::vector<Sequence> numbers;
  for (const Task* held = slot(number, index).held.front(); held; held = held->next)
    numbers.push_back(held->sequence());
  return numbers;
}

}  // namespace poold::core
