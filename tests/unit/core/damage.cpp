#include "tests/unit/core/damage.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

Submit with(TaskOptions options) {
  Submit event = task();
  event.options = std::make_unique<TaskOptions>(std::move(options));
  return event;
}

void fill(World& world) {
  world.ready_all();
  TaskOptions options;
  options.limits.push_back({"db"});
  options.group = "g";
  world.submit(with(options));
  options = {};
  options.limits.push_back({"db"});
  world.submit(with(options));
  world.submit(keyed_task("key", 1));
  world.submit();
  options = {};
  options.parents.push_back({keyed, false, std::nullopt});
  world.submit(with(options));
  options = {};
  options.after_group = "g";
  world.submit(with(options));
  options = {};
  options.time_to_live = 1h;
  world.submit(with(options));
  options = {};
  options.held = true;
  world.submit(with(options));
  world.forget();
}

}  // namespace

void expect_complaints(const std::vector<Damage>& damages) {
  for (const auto& [complaint, apply] : damages) {
    World world({pool_settings("p", 2), pool_settings("q", 1)});
    fill(world);
    ASSERT_EQ(broken_invariant(world.core.state()), "");
    // The tables are nobody's to change: other than here, where they are to be wrong.
    State& state = const_cast<State&>(world.core.state());
    apply(state);
    EXPECT_EQ(broken_invariant(state), complaint);
  }
}

Task& task_of(State& state, Sequence number) { return *state.tasks.find(number); }

Task& stray_task() {
  static Task task;
  task = Task{};
  return task;
}

}  // namespace poold::core
