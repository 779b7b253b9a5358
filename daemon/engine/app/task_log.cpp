#include "daemon/engine/app/task_log.hpp"

#include <spdlog/spdlog.h>

#include "daemon/journal/journal.hpp"

namespace poold::engine {
namespace {

spdlog::level::level_enum level_of(core::OutcomeKind kind) {
  switch (kind) {
    case core::OutcomeKind::timed_out:
    case core::OutcomeKind::out_of_memory:
    case core::OutcomeKind::worker_lost:
      return spdlog::level::info;
    case core::OutcomeKind::unspecified:
    case core::OutcomeKind::exited:
    case core::OutcomeKind::returned:
    case core::OutcomeKind::raised:
    case core::OutcomeKind::signaled:
    case core::OutcomeKind::cancelled:
    case core::OutcomeKind::expired:
    case core::OutcomeKind::rejected:
      break;
  }
  return spdlog::level::debug;
}

}  // namespace

void log_attempt_end(const std::string& pool, const TaskId& id, std::uint32_t attempt, core::OutcomeKind kind,
                     bool again) {
  const spdlog::level::level_enum level = level_of(kind);
  if (!spdlog::should_log(level)) return;
  const std::string task = to_string(id);
  const LogFields about{{"POOLD_POOL", pool},
                        {"POOLD_TASK_ID", task},
                        {"POOLD_ATTEMPT", std::to_string(attempt)},
                        {"POOLD_OUTCOME", std::string(core::name(kind))}};
  spdlog::log(level, "task {} of pool {}: attempt {} ended {}{}", task, pool, attempt, core::name(kind),
              again ? ", and is repeated" : "");
}

}  // namespace poold::engine
