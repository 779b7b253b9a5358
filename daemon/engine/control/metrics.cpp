// /metrics: what Pools/List counts, as Prometheus text (prometheus.io/docs/instrumenting/exposition_formats).
#include <functional>

#include "daemon/engine/control/pool_message.hpp"
#include "daemon/engine/control/router.hpp"

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

std::string render(const core::State& state) {
  std::string text;
  for (const Metric& metric : metrics) {
    text += std::string("# HELP ") + metric.name + " " + metric.help + "\n# TYPE " + metric.name + " " +
            metric.type + "\n";
    for (const core::Pool& pool : state.pools)
      if (!gone(pool))
        // A pool's name needs no escaping: the settings allow letters, digits and ._- only.
        text += std::string(metric.name) + "{pool=\"" + pool.settings.name + "\"} " +
                std::to_string(metric.value(pool)) + "\n";
  }
  return text;
}

}  // namespace

void add_metrics(Router& router) {
  Backend& backend = router.backend();
  router.alias("/metrics", [&backend](const std::shared_ptr<Call>& call) {
    call->reply_text(200, "text/plain; version=0.0.4", render(backend.state()));
  });
}

}  // namespace poold::engine
