// Stores for tests: one in memory, which is the model of what a store promises, and one that fails as it is
// told.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "common/overloaded.hpp"
#include "daemon/engine/store/durable_store.hpp"

namespace poold::engine {

class ModelStore : public DurableStore {
 public:
  using Rows = std::map<std::uint64_t, StoredTask>;
  using Schedules = std::map<std::string, std::string>;
  // The rows outlive the store, as a file does.
  explicit ModelStore(std::shared_ptr<Rows> rows,
                      std::shared_ptr<Schedules> schedules = std::make_shared<Schedules>())
      : rows_(std::move(rows)), schedules_(std::move(schedules)) {}

  void load(const std::function<void(StoredTask&&)>& take) override {
    for (const auto& [number, task] : *rows_) take(StoredTask(task));
  }
  std::vector<StoredSchedule> load_schedules() override {
    std::vector<StoredSchedule> schedules;
    for (const auto& [name, content] : *schedules_) schedules.push_back({name, content});
    return schedules;
  }
  void apply(const std::vector<const StoreBatch*>& batches) override {
    for (const StoreBatch* batch : batches)
      for (const StoreWrite& write : *batch)
        std::visit(Overloaded{
                       [&](const StoredSubmission& w) { (*rows_)[sequence_of(w.id)].submission = w; },
                       [&](const StoredState& w) { (*rows_)[sequence_of(w.id)].state = w; },
                       [&](const StoredEnd& w) { rows_->erase(sequence_of(w.id)); },
                       [&](const StoredSchedule& w) {
                         if (w.content.empty())
                           schedules_->erase(w.name);
                         else
                           (*schedules_)[w.name] = w.content;
                       },
                   },
                   write);
  }

 private:
  std::shared_ptr<Rows> rows_;
  std::shared_ptr<Schedules> schedules_;
};

// What goes wrong with one apply().
enum class Fault {
  none,
  before,  // nothing was written
  after,   // all was written, and nobody heard of it
};

class FaultyStore : public DurableStore {
 public:
  explicit FaultyStore(std::unique_ptr<DurableStore> store) : store_(std::move(store)) {}

  // One for each apply(), in order; afterwards none.
  void plan(std::deque<Fault> faults) { faults_ = std::move(faults); }
  std::size_t applied() const { return applied_; }

  void load(const std::function<void(StoredTask&&)>& take) override { store_->load(take); }
  std::vector<StoredSchedule> load_schedules() override { return store_->load_schedules(); }
  void apply(const std::vector<const StoreBatch*>& batches) override {
    const Fault fault = faults_.empty() ? Fault::none : faults_.front();
    if (!faults_.empty()) faults_.pop_front();
    if (fault == Fault::before) throw StoreError(StoreError::Kind::trouble, "database or disk is full");
    store_->apply(batches);
    ++applied_;
    if (fault == Fault::after) throw StoreError(StoreError::Kind::trouble, "disk I/O error");
  }

 private:
  std::unique_ptr<DurableStore> store_;
  std::deque<Fault> faults_;
  std::size_t applied_ = 0;
};

}  // namespace poold::engine
