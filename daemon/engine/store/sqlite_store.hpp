// Durable pools' tasks in one SQLite file, poold.db in the state directory.
//
// Write-ahead log, an fsync for each commit, and one connection that does all writing and checkpointing:
// SQLite before 3.51.3 can damage a log that two connections checkpoint, so others are kept out altogether
// (exclusive locking mode). After an error nothing that the connection believes is trusted: it is closed, and
// opened and checked again before the next try.
#pragma once

#include <memory>
#include <string>

#include "daemon/engine/store/durable_store.hpp"
#include "daemon/engine/store/sqlite.hpp"

namespace poold::engine {

class SqliteStore : public DurableStore {
 public:
  // Opened at the first use, so that a store whose directory has come back heals by itself.
  explicit SqliteStore(std::string path) : path_(std::move(path)) {}

  void load(const std::function<void(StoredTask&&)>& take) override;
  std::vector<StoredSchedule> load_schedules() override;
  void apply(const std::vector<const StoreBatch*>& batches) override;

  // Empty, or what is wrong with the file, in SQLite's words. Takes time in proportion to it.
  std::string check();

 private:
  struct Open;

  Open& open();
  void apply_one(Open& store, const StoreWrite& write);

  std::string path_;
  std::unique_ptr<Open, void (*)(Open*)> open_{nullptr, nullptr};
  bool suspicious_ = false;  // an error has happened since the file was last checked
  bool unverified_ = false;  // nor has it been looked whether it holds what was confirmed

  // The last row of the last commit, for after an error: the log is one chain, so where this is, everything
  // before it is, too.
  struct Landmark {
    std::int64_t number = 0;  // 0: none yet
    bool forgotten = false;
    std::int64_t attempt = -1;  // of its state; -1: not looked at
  };
  static Landmark landmark_of(const StoreWrite& write);
  void remember(const std::vector<const StoreBatch*>& batches);
  // Before these are tried again. Throws StoreError.
  void verify(Open& store, const std::vector<const StoreBatch*>& batches) const;
  Landmark landmark_;
};

}  // namespace poold::engine
