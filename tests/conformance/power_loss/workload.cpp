#include "tests/conformance/power_loss/workload.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>

#include "tests/conformance/store/stores.hpp"

namespace power_loss {

using namespace poold::engine;

Rows rows_of(DurableStore& store) {
  Rows rows;
  store.load([&](StoredTask&& task) {
    std::string line = to_string(task.submission.id) + " " + task.submission.spec;
    if (task.state)
      line += " attempt " + std::to_string(task.state->attempt) + " " + std::to_string(task.state->kind) +
              " " + std::to_string(task.state->body.size()) + " " +
              std::to_string(std::hash<std::string>{}(task.state->body));
    rows.push_back(std::move(line));
  });
  return rows;
}

Workload Workload::of(std::size_t count, std::size_t body_max, std::uint64_t seed) {
  Workload workload;
  std::mt19937_64 random(seed);
  ModelStore model(std::make_shared<ModelStore::Rows>());
  workload.after.push_back({});
  const auto id = [](std::uint64_t number) {
    return poold::make_task_id(1'700'000'000'000 + number, 42, number);
  };
  for (std::size_t i = 1; i <= count; ++i) {
    StoreBatch batch;
    const std::uint64_t number = i * 4;
    for (std::uint64_t n = number; n < number + 3; ++n) {
      StoredSubmission row;
      row.id = id(n);
      row.pool = "default";
      row.spec = std::string(random() % 600, 's') + std::to_string(n);
      batch.emplace_back(std::move(row));
    }
    StoredState ran;
    ran.id = id(number - 4 * (random() % std::min<std::uint64_t>(i, 3)));
    ran.attempt = static_cast<std::uint32_t>(i);
    ran.kind = random() % 3 == 0 ? 0 : 2;
    if (ran.ended())
      ran.body = std::string(random() % 2 ? body_max : random() % 100, static_cast<char>('a' + i % 26));
    // Of one that was forgotten nothing is written any more.
    if (i % 5 != 0) batch.emplace_back(std::move(ran));
    if (i > 8 && i % 3 == 0) batch.emplace_back(StoredEnd{id((i - 8) * 4)});
    model.apply({&batch});
    workload.after.push_back(rows_of(model));
    workload.batches.push_back(std::move(batch));
  }
  return workload;
}

std::uint64_t seed() {
  static const std::uint64_t chosen = [] {
    const char* text = std::getenv("POOLD_POWER_LOSS_SEED");
    const std::uint64_t value = text ? std::strtoull(text, nullptr, 10) : std::random_device{}();
    std::printf("POOLD_POWER_LOSS_SEED=%llu\n", static_cast<unsigned long long>(value));
    return value;
  }();
  return chosen;
}

}  // namespace power_loss
