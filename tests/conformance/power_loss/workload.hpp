// What a store is given in these tests, and what it must then hold.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/engine/store/durable_store.hpp"

namespace power_loss {

// A line for each task: enough to tell every version of it from every other.
using Rows = std::vector<std::string>;

struct Workload {
  std::vector<poold::engine::StoreBatch> batches;
  std::vector<Rows> after;  // [k]: after k batches

  // Tasks are submitted, start, end with results of up to `body_max` bytes, and some are forgotten.
  static Workload of(std::size_t batches, std::size_t body_max, std::uint64_t seed);
};

Rows rows_of(poold::engine::DurableStore& store);

// The seed of this run, printed once.
std::uint64_t seed();

constexpr const char* path = "/no/such/directory/poold.db";

}  // namespace power_loss
