#include "client/cli/top/snapshot.hpp"

#include <algorithm>

#include "client/cpp/src/task_proto.hpp"

namespace poold::cli::top {
namespace {

std::uint64_t ended(const v1::Pool& pool) { return pool.succeeded() + pool.failed() + pool.cancelled(); }

}  // namespace

Totals totals_of(const Snapshot& snapshot) {
  Totals totals;
  for (const v1::Pool& pool : snapshot.pools) {
    totals.queued += pool.queued();
    totals.waiting += pool.waiting();
    totals.running += pool.running();
    totals.succeeded += pool.succeeded();
    totals.failed += pool.failed();
  }
  return totals;
}

Rates rates_between(const Snapshot& before, const Snapshot& after) {
  Rates rates;
  const double seconds = std::chrono::duration<double>(after.at - before.at).count();
  // The counters begin anew with each engine.
  const bool same_engine =
      before.info.engine_pid() == after.info.engine_pid() && before.info.engine_pid() != 0;
  if (!same_engine || seconds <= 0) return rates;
  if (after.info.has_busy()) {
    const auto busy = from_proto(after.info.busy()) - from_proto(before.info.busy());
    rates.load = std::clamp(std::chrono::duration<double>(busy).count() / seconds, 0.0, 1.0);
  }
  std::map<std::string, std::uint64_t> known;
  for (const v1::Pool& pool : before.pools) known[pool.name()] = ended(pool);
  double all = 0;
  for (const v1::Pool& pool : after.pools) {
    const auto then = known.find(pool.name());
    if (then == known.end() || ended(pool) < then->second) continue;
    const double rate = static_cast<double>(ended(pool) - then->second) / seconds;
    rates.pools[pool.name()] = rate;
    all += rate;
  }
  rates.tasks = all;
  return rates;
}

}  // namespace poold::cli::top
