// The ended tasks: kept until they are too old or too many. Those of durable pools are in their store as
// well, and not dropped before they are.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/core/sequence_index.hpp"
#include "daemon/core/step.hpp"
#include "daemon/engine/store/spare_buffers.hpp"

namespace poold::engine {

// A task that has ended, as the core let go of it.
using Record = core::Finished;

struct RetentionLimits {
  core::Duration age = std::chrono::hours(24);
  std::uint32_t count = 100'000;
  // Of works and results together; the newest record stays whatever its size. Results of 16 MiB, a hundred
  // thousand of them, must not take the machine's memory.
  std::size_t bytes = 64 * 1024 * 1024;
};

class MemoryStore {
 public:
  // Called with every record that leaves: its key is free again, its logs can go.
  using Forget = std::function<void(const Record&)>;
  // What is dropped leaves its buffers to `spares`.
  MemoryStore(Forget forget, SpareBuffers& spares) : forget_(std::move(forget)), spares_(spares) {}

  void set_limits(core::PoolIndex pool, RetentionLimits limits);
  // The reference is good until trim() or expire().
  const Record& put(Record&& record);
  // Drops what is too many.
  void trim();
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

  // Drops what is too old. Being called is enough once in a while: whoever asks gets nothing older than the
  // limit plus that while.
  void expire(core::Time now);
  // When the oldest record becomes too old; Time::max() if there is none.
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

   private:
    std::vector<std::unique_ptr<Record>> places_;  // none, or a power of two
    std::size_t first_ = 0;
    std::size_t size_ = 0;
  };
  struct Shelf {
    RetentionLimits limits;
    std::size_t bytes = 0;
    Fifo records;  // in the order in which they ended
  };
  void drop_oldest(Shelf& shelf);

  Forget forget_;
  SpareBuffers& spares_;
  std::deque<Shelf> shelves_;  // by pool
  core::SequenceIndex<Record> index_;
  std::vector<std::unique_ptr<Record>> spare_;  // so that a steady stream of tasks takes no memory
};

}  // namespace poold::engine
