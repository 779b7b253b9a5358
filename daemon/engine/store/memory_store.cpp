#include "daemon/engine/store/memory_store.hpp"

#include <algorithm>
#include <utility>

#include "common/invariant.hpp"

namespace poold::engine {

namespace {

std::size_t payload_size(const Record& record) { return record.task.spec.size() + record.body.size(); }

}  // namespace

Record& MemoryStore::Fifo::push_back(std::unique_ptr<Record> record) {
  if (size_ == places_.size()) {
    std::vector<std::unique_ptr<Record>> larger(std::max<std::size_t>(64, 2 * size_));
    for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move(places_[(first_ + i) & (size_ - 1)]);
    places_ = std::move(larger);
    first_ = 0;
  }
  auto& place = places_[(first_ + size_++) & (places_.size() - 1)];
  place = std::move(record);
  return *place;
}

std::unique_ptr<Record> MemoryStore::Fifo::pop_front() {
  std::unique_ptr<Record> record = std::move(places_[first_]);
  first_ = (first_ + 1) & (places_.size() - 1);
  --size_;
  return record;
}

void MemoryStore::set_limits(core::PoolIndex pool, RetentionLimits limits) {
  if (shelves_.size() <= pool) shelves_.resize(pool + 1);
  shelves_[pool].limits = limits;
}

const Record& MemoryStore::put(Record&& record) {
  std::unique_ptr<Record> kept;
  if (spare_.empty()) {
    kept = std::make_unique<Record>(std::move(record));
  } else {
    kept = std::move(spare_.back());
    spare_.pop_back();
    *kept = std::move(record);
  }
  index_.insert(kept->task.sequence(), kept.get());
  Shelf& shelf = shelves_[kept->task.pool];
  shelf.bytes += payload_size(*kept);
  return shelf.records.push_back(std::move(kept));
}

void MemoryStore::trim() {
  for (Shelf& shelf : shelves_) {
    const auto saved = [&] { return !shelf.records.front().task.unsaved; };
    while (shelf.records.size() > shelf.limits.count && saved()) drop_oldest(shelf);
    while (shelf.bytes > shelf.limits.bytes && shelf.records.size() > 1 && saved()) drop_oldest(shelf);
  }
}

const Record* MemoryStore::find(const TaskId& id) const {
  const Record* record = find(sequence_of(id));
  return record && record->task.id == id ? record : nullptr;
}

Record& MemoryStore::own(core::Sequence sequence) {
  Record* record = index_.find(sequence);
  invariant(record != nullptr, "a record that is asked for is there");
  return *record;
}

// An empty record keeps its place until it is the oldest.
Record MemoryStore::take(core::Sequence sequence) {
  Record* record = index_.find(sequence);
  invariant(record != nullptr, "what is taken from the store is in it");
  index_.erase(sequence);
  shelves_[record->task.pool].bytes -= payload_size(*record);
  Record taken = std::move(*record);
  const core::Time ended_at = taken.ended_at;
  *record = Record{};
  record->ended_at = ended_at;
  return taken;
}

void MemoryStore::drop_oldest(Shelf& shelf) {
  constexpr std::size_t spare_max = 1024;
  std::unique_ptr<Record> oldest = shelf.records.pop_front();
  const bool was_taken = oldest->task.id.low == 0;
  shelf.bytes -= payload_size(*oldest);
  if (!was_taken) {
    index_.erase(oldest->task.sequence());
    forget_(*oldest);
  }
  spares_.give_back(std::move(oldest->task.spec));
  spares_.give_back(std::move(oldest->body));
  if (spare_.size() >= spare_max) return;
  *oldest = Record{};
  spare_.push_back(std::move(oldest));
}

void MemoryStore::expire(core::Time now) {
  for (Shelf& shelf : shelves_)
    while (!shelf.records.empty() && !shelf.records.front().task.unsaved &&
           shelf.records.front().ended_at + shelf.limits.age <= now)
      drop_oldest(shelf);
}

core::Time MemoryStore::next_expiry() const {
  core::Time next = core::Time::max();
  for (const Shelf& shelf : shelves_)
    if (!shelf.records.empty()) next = std::min(next, shelf.records.front().ended_at + shelf.limits.age);
  return next;
}

}  // namespace poold::engine
