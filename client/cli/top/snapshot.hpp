// What top knows of the daemon at one moment, as the daemon told it, and what two moments say together.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/cpp/poold/task.hpp"
#include "poold/v1/daemon.pb.h"
#include "poold/v1/pools.pb.h"
#include "poold/v1/task.pb.h"
#include "poold/v1/workers.pb.h"

namespace poold::cli::top {

struct Snapshot {
  Time at{};
  v1::GetInfoResponse info;
  std::vector<v1::Pool> pools;
  std::vector<v1::Worker> workers;
  std::vector<v1::Task> tasks;
  bool more_tasks = false;  // there are tasks beyond these
  bool own_only = false;    // the caller may see nothing but tasks of its own
};

// Sums over all pools.
struct Totals {
  std::uint64_t queued = 0;
  std::uint64_t waiting = 0;
  std::uint64_t running = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
};
Totals totals_of(const Snapshot& snapshot);

// Empty until the same engine was seen twice.
struct Rates {
  std::optional<double> load;           // of the engine's loop: 1 is all that it can do
  std::optional<double> tasks;          // that ended, a second
  std::map<std::string, double> pools;  // the same by pool
};
Rates rates_between(const Snapshot& before, const Snapshot& after);

}  // namespace poold::cli::top
