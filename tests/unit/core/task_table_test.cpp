// The table of tasks and the queue against plain maps.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>

#include "daemon/core/pool.hpp"
#include "daemon/core/task.hpp"

namespace poold::core {
namespace {

TaskId id_of(Sequence sequence) { return make_task_id(1'700'000'000'000, 5, sequence); }

// A table and what must be in it.
class Model {
 public:
  void insert(Sequence sequence) {
    Task& task = table.insert(id_of(sequence));
    EXPECT_EQ(task.spec, "") << "a place that was used before is like new";
    EXPECT_EQ(task.key, nullptr);
    task.spec = std::to_string(sequence);
    tasks.emplace(sequence, &task);
  }
  void take(Sequence sequence) {
    const Task taken = table.take(*tasks.at(sequence));
    EXPECT_EQ(taken.sequence(), sequence);
    EXPECT_EQ(taken.spec, std::to_string(sequence));
    tasks.erase(sequence);
    EXPECT_EQ(table.find(sequence), nullptr);
    EXPECT_EQ(table.find(id_of(sequence)), nullptr);
  }
  void compare() {
    ASSERT_EQ(table.size(), tasks.size());
    for (const auto& [sequence, task] : tasks) {
      ASSERT_EQ(table.find(sequence), task) << sequence;
      ASSERT_EQ(table.find(id_of(sequence)), task);
      ASSERT_EQ(table.find(make_task_id(1'700'000'000'000, 6, sequence)), nullptr) << "of another engine";
      ASSERT_EQ(task->spec, std::to_string(sequence));
    }
    std::size_t visited = 0;
    table.each([&](const Task& task) {
      ++visited;
      EXPECT_TRUE(tasks.contains(task.sequence()));
      return true;
    });
    ASSERT_EQ(visited, tasks.size());
  }

  TaskTable table;
  std::map<Sequence, Task*> tasks;
};

// Random inserts and takes around `size` tasks; `next` gives the numbers.
template <class Next>
void work(Model& model, std::uint64_t seed, std::size_t size, int steps, Next next) {
  std::mt19937_64 random(seed);
  for (int step = 0; step < steps; ++step) {
    if (model.tasks.empty() || random() % (2 * size) >= model.tasks.size()) {
      if (const Sequence sequence = next(random); !model.tasks.contains(sequence)) model.insert(sequence);
    } else {
      auto victim = model.tasks.lower_bound(random() % (model.tasks.rbegin()->first + 1));
      model.take(victim->first);
    }
    if (step % 64 == 0) model.compare();
    if (testing::Test::HasFatalFailure()) return;
  }
  model.compare();
}

TEST(TaskTable, NumbersWithGaps) {
  Model model;
  Sequence last = 0;
  work(model, 1, 300, 20'000,
       [&](auto& random) { return last += 1 + (random() % 8 == 0 ? random() % 3000 : 0); });
}

TEST(TaskTable, NumbersThatMeetInOnePlaceAndWrapAround) {
  Model model;
  // All at home in the last eight places of a table of 1,024.
  work(model, 2, 200, 20'000, [&](auto& random) { return (1 + random() % 64) * 1024 - 1 - random() % 8; });
}

TEST(TaskTable, AnyNumberUpToTheLast) {
  Model model;
  work(model, 3, 400, 20'000, [&](auto& random) { return random() & sequence_max; });
}

TEST(TaskTable, NumbersThatShareTheirLowBits) {
  // A task that has waited while four thousand million others went by.
  Model model;
  work(model, 4, 60, 5'000, [&](auto& random) { return (random() % 200) << 32 | (random() % 3); });
}

TEST(TaskTable, GrowsAndKeepsAddresses) {
  Model model;
  for (Sequence sequence = 1; sequence <= 20'000; ++sequence) model.insert(sequence);
  model.compare();
  for (Sequence sequence = 20'000; sequence >= 1; --sequence) model.take(sequence);
  EXPECT_EQ(model.table.size(), 0u);
}

TEST(TaskTable, AVisitCanEndEarly) {
  Model model;
  for (Sequence sequence = 1; sequence <= 10; ++sequence) model.insert(sequence);
  int visited = 0;
  model.table.each([&](const Task&) { return ++visited < 3; });
  EXPECT_EQ(visited, 3);
}

TEST(TaskTableDeathTest, ANumberIsUsedOnce) {
  TaskTable table;
  table.insert(id_of(7));
  EXPECT_DEATH(table.insert(id_of(7)), "used once");
}

std::vector<Sequence> order(const Queue& queue) {
  std::vector<Sequence> numbers;
  queue.each([&](const Task& task) { numbers.push_back(task.sequence()); });
  return numbers;
}

TEST(Queue, IsInOrderWhateverIsDoneToIt) {
  std::mt19937_64 random(5);
  TaskTable table;
  Queue queue;
  std::map<std::int32_t, std::deque<Task*>, std::greater<>> model;
  std::vector<Task*> inside;
  Sequence last = 0;
  const std::int32_t priorities[] = {0, 0, 0, 5, -3, 2'147'483'647, -2'147'483'647 - 1};
  for (int step = 0; step < 10'000; ++step) {
    // Fills and empties in turn.
    const bool filling = step / 500 % 2 == 0;
    if (inside.empty() || random() % 8 < (filling ? 5u : 3u)) {
      Task& task = table.insert(id_of(++last));
      task.priority = priorities[random() % std::size(priorities)];
      inside.push_back(&task);
      queue.push_back(task);
      model[task.priority].push_back(&task);
    } else if (random() % 4 == 0) {
      // One that was out comes back to its place, wherever that is looked for from.
      Task& task = *inside[random() % inside.size()];
      queue.remove(task);
      Task* near = inside[random() % inside.size()];
      queue.push_sorted(task, near == &task ? nullptr : near);
    } else {
      const std::size_t at = random() % inside.size();
      Task& task = random() % 2 ? *inside[at] : *queue.front();
      queue.remove(task);
      std::erase(model[task.priority], &task);
      std::erase(inside, &task);
      table.take(task);
    }
    std::vector<Sequence> expected;
    for (const auto& [priority, tasks] : model)
      for (const Task* task : tasks) expected.push_back(task->sequence());
    ASSERT_EQ(order(queue), expected);
    ASSERT_EQ(queue.size(), expected.size());
    ASSERT_EQ(queue.empty(), expected.empty());
    ASSERT_EQ(queue.front() ? queue.front()->sequence() : 0, expected.empty() ? 0 : expected.front());
  }
}

TEST(TaskList, TakesFromAnywhere) {
  Task a, b, c;
  TaskList list;
  list.push_back(b);
  list.push_back(c);
  list.push_front(a);
  EXPECT_EQ(list.front(), &a);
  list.remove(b);
  EXPECT_EQ(a.next, &c);
  EXPECT_EQ(c.previous, &a);
  list.remove(c);
  EXPECT_EQ(a.next, nullptr);
  list.remove(a);
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.size(), 0u);
}

}  // namespace
}  // namespace poold::core
