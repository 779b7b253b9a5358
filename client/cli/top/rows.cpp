#include "client/cli/top/rows.hpp"

#include <algorithm>
#include <cstdlib>
#include <unordered_map>

#include "client/cli/reading.hpp"
#include "client/cli/task_text.hpp"
#include "client/cli/text.hpp"
#include "client/cli/top/columns.hpp"
#include "client/cpp/src/task_proto.hpp"

namespace poold::cli::top {
namespace {

TopCell count(std::uint64_t number, Colour colour = Colour::none) {
  return {{short_number(number), number ? colour : Colour::none}, static_cast<double>(number)};
}

TopCell text(const std::string& unsafe) { return {{escaped_line(unsafe)}, {}}; }

TopCell span(std::chrono::nanoseconds duration) {
  return {{short_duration(duration)}, std::chrono::duration<double>(duration).count()};
}

Colour colour_of(v1::Pool::State state) {
  if (state == v1::Pool::READY) return Colour::green;
  if (state == v1::Pool::THROTTLED) return Colour::red;
  return state == v1::Pool::STARTING ? Colour::none : Colour::yellow;
}

TopRow pool_row(const v1::Pool& pool, const Rates& rates) {
  TopRow row;
  row.id = row.pool = pool.name();
  row.name = escaped_line(pool.name());
  row.workers = pool.workers();
  row.stopped = pool.state() == v1::Pool::PAUSED || pool.state() == v1::Pool::DRAINING;
  const auto rate = rates.pools.find(pool.name());
  row.cells = {
      text(pool.name()),
      {{v1::Pool::State_Name(pool.state()), colour_of(pool.state())}, {}},
      count(pool.workers()),
      count(pool.busy(), Colour::cyan),
      count(pool.queued()),
      count(pool.waiting()),
      count(pool.running(), Colour::cyan),
      count(pool.succeeded()),
      count(pool.failed(), Colour::red),
      count(pool.workers_lost(), Colour::yellow),
      rate == rates.pools.end() ? TopCell{{"-"}, -1} : TopCell{{short_rate(rate->second)}, rate->second}};
  return row;
}

// The end of an id tells tasks of one moment apart.
std::string short_id(const std::string& id) {
  constexpr std::size_t shown = 8;
  return id.size() <= shown ? escaped_line(id) : "…" + escaped_line(id.substr(id.size() - shown));
}

TopRow worker_row(const v1::Worker& worker, const std::string& task_name, Time now) {
  TopRow row;
  row.id = worker.pool() + "/" + std::to_string(worker.slot());
  row.name = "worker " + escaped_line(row.id);
  row.pool = worker.pool();
  row.task = worker.task_id();
  const bool vacant = worker.pid() == 0;
  row.cells = {text(worker.pool()),
               {{std::to_string(worker.slot())}, worker.slot()},
               {{vacant ? "-" : std::to_string(worker.pid())}, worker.pid()},
               {{v1::Worker::State_Name(worker.state()),
                 worker.state() == v1::Worker::BUSY ? Colour::cyan : Colour::none},
                {}},
               text(task_name),
               {{worker.task_id().empty() ? "" : short_id(worker.task_id())}, {}},
               count(worker.held()),
               count(worker.finished()),
               {{std::to_string(worker.generation())}, worker.generation()},
               worker.has_started_at() ? span(now - from_proto(worker.started_at())) : TopCell{{"-"}, -1}};
  return row;
}

TopRow task_row(const v1::Task& task, Time now) {
  TopRow row;
  row.id = row.task = task.id();
  row.name = escaped_line(task.name().empty() ? task.id() : task.name());
  row.pool = task.pool();
  row.searched = task.id() + " " + labels_text(task.labels()) + " " + task.key();
  const std::string run = run_time_text(task, now);
  const bool running = task_state(task.state()) == TaskState::running;
  TopCell time{{run}, -1};
  if (!run.empty())
    time = span((running ? now : from_proto(task.ended_at())) - from_proto(task.started_at()));
  row.cells = {{{short_id(task.id())}, {}},
               {state_cell(task), {}},
               text(task.pool()),
               text(task.name()),
               {{std::to_string(task.priority())}, task.priority()},
               {{std::to_string(task.attempt())}, task.attempt()},
               span(now - from_proto(task.submitted_at())),
               time,
               {{task.has_outcome() ? outcome_text(task) : work_text(task)}, {}}};
  return row;
}

int order_of(const v1::Task& task) {
  switch (task_state(task.state())) {
    case TaskState::running:
      return 0;
    case TaskState::queued:
      return 1;
    case TaskState::waiting:
      return 2;
    case TaskState::unspecified:
    case TaskState::succeeded:
    case TaskState::failed:
    case TaskState::cancelled:
      return 3;
  }
  std::abort();
}

}  // namespace

const std::vector<TopColumn>& columns(View view) {
  static const std::vector<TopColumn> pools = {
      {"POOL", false, true, 0},    {"STATE", false, false, 1},    {"WORKERS", true, false, 2},
      {"BUSY", true, false, 4},    {"QUEUED", true, false, 3},    {"WAITING", true, false, 7},
      {"RUNNING", true, false, 5}, {"SUCCEEDED", true, false, 8}, {"FAILED", true, false, 6},
      {"LOST", true, false, 10},   {"TASKS/S", true, false, 9}};
  static const std::vector<TopColumn> workers = {{"POOL", false, true, 0}, {"SLOT", true, false, 2},
                                                 {"PID", true, false, 3},  {"STATE", false, false, 0},
                                                 {"TASK", false, true, 1}, {"ID", false, false, 6},
                                                 {"HELD", true, false, 8}, {"FINISHED", true, false, 5},
                                                 {"GEN", true, false, 7},  {"AGE", true, false, 4}};
  static const std::vector<TopColumn> tasks = {
      {"ID", false, false, 5},  {"STATE", false, false, 0},   {"POOL", false, true, 4},
      {"NAME", false, true, 0}, {"PRIORITY", true, false, 8}, {"ATTEMPT", true, false, 7},
      {"AGE", true, false, 3},  {"TIME", true, false, 2},     {"WHAT", false, true, 6}};
  switch (view) {
    case View::pools:
      return pools;
    case View::workers:
      return workers;
    case View::tasks:
      return tasks;
  }
  std::abort();
}

const char* title(View view) {
  switch (view) {
    case View::pools:
      return "Pools";
    case View::workers:
      return "Workers";
    case View::tasks:
      return "Tasks";
  }
  std::abort();
}

std::vector<TopRow> rows(View view, const Snapshot& snapshot, const Rates& rates) {
  std::vector<TopRow> made;
  switch (view) {
    case View::pools:
      for (const v1::Pool& pool : snapshot.pools) made.push_back(pool_row(pool, rates));
      return made;
    case View::workers: {
      std::unordered_map<std::string, std::string> names;
      for (const v1::Task& task : snapshot.tasks) names[task.id()] = task.name();
      for (const v1::Worker& worker : snapshot.workers) {
        const auto name = names.find(worker.task_id());
        made.push_back(worker_row(worker, name == names.end() ? "" : name->second, snapshot.at));
      }
      return made;
    }
    case View::tasks: {
      std::vector<const v1::Task*> order;
      for (const v1::Task& task : snapshot.tasks) order.push_back(&task);
      std::ranges::stable_sort(order, {}, [](const v1::Task* task) { return order_of(*task); });
      for (const v1::Task* task : order) made.push_back(task_row(*task, snapshot.at));
      return made;
    }
  }
  std::abort();
}

}  // namespace poold::cli::top
