// The ended tasks: kept until they are too old, too many or too large. Those of durable pools are in their
// store as well, and not dropped before they are.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/core/sequence_index.hpp"
#include "daemon/core/step.hpp"
#include "daemon/engine/store/spare_buffers.hpp"

namespace poold::engine {

// A task that has ended, as the core let go of it.
struct Record : core::Finished {
  std::uint64_t log_bytes = 0;  // of all attempts, on the disk
};

struct RetentionLimits {
  core::Duration age = std::chrono::hours(24);
  std::uint32_t count = 100'000;
  // Of results and logs; the newest record stays whatever its size.
  std::uint64_t size = 1024 * 1024 * 1024;
  // Of works and results together; the same goes for the newest. Results of 16 MiB, a hundred thousand of
  // them, must not take the machine's memory.
  std::size_t memory = 64 * 1024 * 1024;
};

class MemoryStore {
 public:
  // Called with every record that leaves: its key is free again, its logs can go.
  using Forget = std::function<void(const Record&)>;
  // What is dropped leaves its buffers to `spares`.
  MemoryStore(Forget forget, SpareBuffers& spares) : forget_(std::move(forget)), spares_(spares) {}

  void set_limits(core::PoolIndex pool, RetentionLimits limits);
  // The reference is good until trim().
  const Record& put(core::Finished&& task, std::uint64_t log_bytes = 0);
  // Drops what is too old, too many or too large, but not all at once where that is much. False: there is
  // more to drop.
  bool trim(core::Time now);
  // Drops a record that is there, and not leaving().
  void drop(core::Sequence sequence);
  // Somebody waits for this task, whether it has ended or not: until release(), its record leaves the counts
  // when it is dropped, but can be found. There is a limit to what is kept so.
  void keep(core::Sequence sequence) { ++kept_[sequence]; }
  void release(core::Sequence sequence);
  // It is there only because it is kept.
  bool leaving(core::Sequence sequence) const { return leaving_.contains(sequence); }
  const Record* find(core::Sequence sequence) const { return index_.find(sequence); }
  const Record* find(const TaskId& id) const;
  // A record that is there.
  Record& own(core::Sequence sequence);
  // Takes out a record that is there; its key and logs stay in use.
  Record take(core::Sequence sequence);
  // Every record, in no order.
  template <class Visit>
  void each(Visit visit) const {
    index_.each([&](const Record& record) { visit(record); });
  }
  std::size_t size() const { return index_.size(); }

  // When a record becomes too old; Time::max() if none does that could be dropped.
  core::Time next_expiry() const;

 private:
  // First in, first out, in a buffer that is used around and around: std::deque would ask for memory every 64
  // tasks.
  class Fifo {
   public:
    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    Record& front() const { return *places_[first_]; }
    Record& push_back(std::unique_ptr<Record> record);
    std::unique_ptr<Record> pop_front();
    // Without the empty ones.
    void compact();

   private:
    std::vector<std::unique_ptr<Record>> places_;  // none, or a power of two
    std::size_t first_ = 0;
    std::size_t size_ = 0;
  };
  struct Shelf {
    RetentionLimits limits;
    std::size_t memory = 0;
    std::uint64_t size = 0;
    std::size_t empty = 0;  // places of records that were taken out
    Fifo records;           // in the order in which they ended

    std::size_t count() const { return records.size() - empty; }
  };
  static bool has_to_go(const Shelf& shelf, core::Time now);
  static bool is_empty(const Record& record) { return record.task.id.low == 0; }
  void drop_oldest(Shelf& shelf);
  // Not on its shelf any more.
  void let_go(std::unique_ptr<Record> record);
  std::unique_ptr<Record> take_out(Record& record);

  Forget forget_;
  SpareBuffers& spares_;
  std::deque<Shelf> shelves_;  // by pool
  core::SequenceIndex<Record> index_;
  std::vector<std::unique_ptr<Record>> spare_;  // so that a steady stream of tasks takes no memory
  std::size_t put_ = 0;                         // since the last trim()
  std::unordered_map<core::Sequence, std::uint32_t> kept_;  // by how many
  std::unordered_map<core::Sequence, std::unique_ptr<Record>> leaving_;
  std::size_t leaving_memory_ = 0;
};

}  // namespace poold::engine
