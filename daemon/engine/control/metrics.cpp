// /metrics: what Pools/List counts, and what was measured (measurements.hpp), as Prometheus text
// (prometheus.io/docs/instrumenting/exposition_formats).
#include <spdlog/fmt/fmt.h>

#include <functional>

#include "daemon/engine/control/pool_message.hpp"
#include "daemon/engine/control/router.hpp"
#include "daemon/engine/store/task_memory.hpp"

namespace poold::engine {
namespace {

struct Metric {
  const char* name;
  const char* type;
  const char* help;
  std::function<std::uint64_t(const core::Pool&)> value;
};

const Metric metrics[] = {
    {"poold_pool_workers", "gauge", "Slots, filled or not.", [](auto& pool) { return pool.size; }},
    {"poold_pool_workers_ready", "gauge", "Workers that have said hello.",
     [](auto& pool) { return core::ready_workers(pool); }},
    {"poold_pool_workers_busy", "gauge", "Workers with a task.",
     [](auto& pool) { return core::busy_workers(pool); }},
    {"poold_tasks_queued", "gauge", "Tasks that wait for a worker.",
     [](auto& pool) { return pool.queue.size(); }},
    {"poold_tasks_waiting", "gauge", "Tasks that may not run yet: held, delayed, for a parent or a limit.",
     [](auto& pool) { return pool.waiting.size() + pool.parked; }},
    {"poold_tasks_running", "gauge", "Tasks handed to workers.", [](auto& pool) { return pool.running; }},
    {"poold_tasks_succeeded_total", "counter", "Tasks that succeeded.",
     [](auto& pool) { return pool.counters.succeeded; }},
    {"poold_tasks_failed_total", "counter", "Tasks that failed.",
     [](auto& pool) { return pool.counters.failed; }},
    {"poold_tasks_cancelled_total", "counter", "Tasks that were cancelled.",
     [](auto& pool) { return pool.counters.cancelled; }},
    {"poold_submissions_refused_total", "counter", "Submissions refused.",
     [](auto& pool) { return pool.counters.refused; }},
    {"poold_workers_lost_total", "counter", "Workers that ended without being asked to.",
     [](auto& pool) { return pool.counters.workers_lost; }},
    {"poold_frames_stale_total", "counter", "Frames from workers about attempts that were over.",
     [](auto& pool) { return pool.counters.stale; }},
};

void head(std::string& text, const char* name, const char* type, const char* help) {
  text += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

// `labels` without braces, such as pool="math"; may be empty.
void sample(std::string& text, const std::string& name, const std::string& labels, const std::string& value) {
  text += labels.empty() ? name : name + "{" + labels + "}";
  text += " " + value + "\n";
}

void histogram(std::string& text, const std::string& name, const std::string& labels,
               const DurationHistogram& measured) {
  const std::string comma = labels.empty() ? "" : labels + ",";
  std::uint64_t count = 0;
  for (std::size_t bucket = 0; bucket <= DurationHistogram::bounds; ++bucket) {
    count += measured.count(bucket);
    const std::string bound =
        bucket == DurationHistogram::bounds
            ? "+Inf"
            : fmt::format("{:g}", static_cast<double>(DurationHistogram::bound_us(bucket)) / 1e6);
    sample(text, name + "_bucket", comma + "le=\"" + bound + "\"", std::to_string(count));
  }
  sample(text, name + "_sum", labels, fmt::format("{:.9f}", measured.sum_seconds()));
  sample(text, name + "_count", labels, std::to_string(count));
}

// Calls with every pool that there is: its label, and what was measured.
template <class Visit>
void each_pool(const Backend& backend, Visit visit) {
  const auto& pools = backend.state().pools;
  for (core::PoolIndex index = 0; index < pools.size(); ++index)
    if (!gone(pools[index]))
      visit("pool=\"" + pools[index].settings.name + "\"", backend.measurements().pool(index));
}

void render_measurements(std::string& text, Backend& backend) {
  head(text, "poold_task_outcomes_total", "counter", "Tasks that have ended, by outcome.");
  each_pool(backend, [&](const std::string& pool, const PoolMeasurements& measured) {
    for (std::size_t kind = 1; kind < measured.outcomes.size(); ++kind)
      sample(text, "poold_task_outcomes_total",
             pool + ",outcome=\"" + std::string(core::name(static_cast<core::OutcomeKind>(kind))) + "\"",
             std::to_string(measured.outcomes[kind]));
  });
  head(text, "poold_task_wait_seconds", "histogram", "From the queue to a worker, before the last attempt.");
  each_pool(backend, [&](const std::string& pool, const PoolMeasurements& measured) {
    histogram(text, "poold_task_wait_seconds", pool, measured.waits);
  });
  head(text, "poold_task_run_seconds", "histogram",
       "From a worker's getting the task to its end, last attempt.");
  each_pool(backend, [&](const std::string& pool, const PoolMeasurements& measured) {
    histogram(text, "poold_task_run_seconds", pool, measured.runs);
  });
  head(text, "poold_worker_starts_total", "counter", "Workers that were started.");
  each_pool(backend, [&](const std::string& pool, const PoolMeasurements& measured) {
    sample(text, "poold_worker_starts_total", pool, std::to_string(measured.worker_starts));
  });
  head(text, "poold_worker_start_failures_total", "counter", "Workers that could not be started.");
  each_pool(backend, [&](const std::string& pool, const PoolMeasurements& measured) {
    sample(text, "poold_worker_start_failures_total", pool, std::to_string(measured.worker_start_failures));
  });
  head(text, "poold_worker_ends_total", "counter",
       "Workers that have ended: asked to, condemned by the daemon, by themselves, by a signal.");
  each_pool(backend, [&](const std::string& pool, const PoolMeasurements& measured) {
    for (std::size_t end = 0; end < worker_end_names.size(); ++end)
      sample(text, "poold_worker_ends_total", pool + ",cause=\"" + worker_end_names[end] + "\"",
             std::to_string(measured.worker_ends[end]));
  });
  head(text, "poold_degraded", "gauge", "1: disk pools take nothing new, because the store refuses.");
  sample(text, "poold_degraded", "", backend.store_trouble().empty() ? "0" : "1");
  head(text, "poold_clients", "gauge", "Connections.");
  sample(text, "poold_clients", "", std::to_string(backend.connections()));
  const MemoryLedger& ledger = backend.memory_ledger();
  head(text, "poold_shared_memory_payloads", "gauge", "Arguments and results held in shared memory.");
  sample(text, "poold_shared_memory_payloads", "", std::to_string(ledger.total().payloads));
  head(text, "poold_shared_memory_bytes", "gauge", "Their sizes together.");
  sample(text, "poold_shared_memory_bytes", "", std::to_string(ledger.total().bytes));
  head(text, "poold_shared_memory_refused_total", "counter",
       "Payloads that would have gone beyond a user's limit.");
  sample(text, "poold_shared_memory_refused_total", "", std::to_string(ledger.refused()));
  head(text, "poold_engine_restarts_total", "counter", "Engines that were replaced.");
  sample(text, "poold_engine_restarts_total", "", std::to_string(backend.facts().engine_restarts));
  head(text, "poold_loop_turn_seconds", "histogram",
       "A turn of the engine's loop: what arrives meanwhile waits so long.");
  histogram(text, "poold_loop_turn_seconds", "", backend.measurements().turns);
}

std::string render(Backend& backend) {
  const core::State& state = backend.state();
  std::string text;
  for (const Metric& metric : metrics) {
    head(text, metric.name, metric.type, metric.help);
    for (const core::Pool& pool : state.pools)
      // A pool's name needs no escaping: the settings allow letters, digits and ._- only.
      if (!gone(pool))
        sample(text, metric.name, "pool=\"" + pool.settings.name + "\"", std::to_string(metric.value(pool)));
  }
  render_measurements(text, backend);
  return text;
}

}  // namespace

void add_metrics(Router& router) {
  Backend& backend = router.backend();
  router.alias("/metrics", [&backend](const std::shared_ptr<Call>& call) {
    call->reply_text(200, "text/plain; version=0.0.4", render(backend));
  });
}

}  // namespace poold::engine
