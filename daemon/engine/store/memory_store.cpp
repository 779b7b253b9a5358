#include "daemon/engine/store/memory_store.hpp"

#include <algorithm>
#include <utility>

#include "common/invariant.hpp"

namespace poold::engine {

namespace {

// Beyond as many as have come: a hundred thousand logs at once would keep everybody waiting.
constexpr std::size_t drops_per_turn = 1000;
// What is kept only for those who wait.
constexpr std::size_t leaving_memory_max = 64 * 1024 * 1024;

std::size_t memory_of(const Record& record) { return record.task.spec.size() + record.body.size(); }
std::uint64_t size_of(const Record& record) { return record.body.size() + record.log_bytes; }

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

void MemoryStore::Fifo::compact() {
  std::vector<std::unique_ptr<Record>> places(places_.size());
  std::size_t size = 0;
  for (std::size_t i = 0; i < size_; ++i) {
    auto& place = places_[(first_ + i) & (places_.size() - 1)];
    if (!is_empty(*place)) places[size++] = std::move(place);
  }
  places_ = std::move(places);
  first_ = 0;
  size_ = size;
}

void MemoryStore::set_limits(core::PoolIndex pool, RetentionLimits limits) {
  if (shelves_.size() <= pool) shelves_.resize(pool + 1);
  shelves_[pool].limits = limits;
}

const Record& MemoryStore::put(core::Finished&& task, std::uint64_t log_bytes) {
  std::unique_ptr<Record> kept;
  if (spare_.empty()) {
    kept = std::make_unique<Record>(Record{std::move(task), log_bytes});
  } else {
    kept = std::move(spare_.back());
    spare_.pop_back();
    static_cast<core::Finished&>(*kept) = std::move(task);
    kept->log_bytes = log_bytes;
  }
  index_.insert(kept->task.sequence(), kept.get());
  ++put_;
  Shelf& shelf = shelves_[kept->task.pool];
  shelf.memory += memory_of(*kept);
  shelf.size += size_of(*kept);
  return shelf.records.push_back(std::move(kept));
}

bool MemoryStore::has_to_go(const Shelf& shelf, core::Time now) {
  if (shelf.records.empty()) return false;
  const Record& oldest = shelf.records.front();
  if (is_empty(oldest)) return true;
  if (oldest.task.unsaved) return false;
  const RetentionLimits& limits = shelf.limits;
  if (shelf.count() > limits.count || oldest.ended_at + limits.age <= now) return true;
  return shelf.count() > 1 && (shelf.memory > limits.memory || shelf.size > limits.size);
}

bool MemoryStore::trim(core::Time now) {
  std::size_t drops = std::exchange(put_, 0) + drops_per_turn;
  for (Shelf& shelf : shelves_) {
    for (; has_to_go(shelf, now); --drops) {
      if (drops == 0) return false;
      drop_oldest(shelf);
    }
  }
  return true;
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

// An empty record keeps its place until it is the oldest, or one of many.
std::unique_ptr<Record> MemoryStore::take_out(Record& record) {
  constexpr std::size_t few = 64;
  Shelf& shelf = shelves_[record.task.pool];
  shelf.memory -= memory_of(record);
  shelf.size -= size_of(record);
  auto taken = std::make_unique<Record>(std::move(record));
  record = Record{};
  if (++shelf.empty > few && 2 * shelf.empty > shelf.records.size()) {
    shelf.records.compact();
    shelf.empty = 0;
  }
  return taken;
}

Record MemoryStore::take(core::Sequence sequence) {
  Record& record = own(sequence);
  index_.erase(sequence);
  auto leaving = leaving_.extract(sequence);
  if (!leaving) return std::move(*take_out(record));
  leaving_memory_ -= memory_of(record);
  return std::move(*leaving.mapped());
}

void MemoryStore::drop(core::Sequence sequence) {
  auto taken = take_out(own(sequence));
  index_.erase(sequence);
  index_.insert(sequence, taken.get());
  let_go(std::move(taken));
}

void MemoryStore::drop_oldest(Shelf& shelf) {
  std::unique_ptr<Record> oldest = shelf.records.pop_front();
  if (is_empty(*oldest)) {
    --shelf.empty;
    return;
  }
  shelf.memory -= memory_of(*oldest);
  shelf.size -= size_of(*oldest);
  let_go(std::move(oldest));
}

void MemoryStore::let_go(std::unique_ptr<Record> record) {
  constexpr std::size_t spare_max = 1024;
  const core::Sequence sequence = record->task.sequence();
  const std::size_t memory = memory_of(*record);
  if (!kept_.empty() && kept_.contains(sequence) && leaving_memory_ + memory <= leaving_memory_max) {
    leaving_memory_ += memory;
    leaving_.emplace(sequence, std::move(record));
    return;
  }
  index_.erase(sequence);
  forget_(*record);
  spares_.give_back(std::move(record->task.spec));
  spares_.give_back(std::move(record->body));
  if (spare_.size() >= spare_max) return;
  // What holds memory; everything else is overwritten by the next.
  record->task.key.reset();
  record->task.options.reset();
  std::string().swap(record->task.spec);
  std::string().swap(record->body);
  spare_.push_back(std::move(record));
}

void MemoryStore::release(core::Sequence sequence) {
  const auto kept = kept_.find(sequence);
  invariant(kept != kept_.end(), "what is released was kept");
  if (--kept->second > 0) return;
  kept_.erase(kept);
  auto leaving = leaving_.extract(sequence);
  if (!leaving) return;
  leaving_memory_ -= memory_of(*leaving.mapped());
  let_go(std::move(leaving.mapped()));
}

core::Time MemoryStore::next_expiry() const {
  core::Time next = core::Time::max();
  for (const Shelf& shelf : shelves_)
    if (!shelf.records.empty() && !shelf.records.front().task.unsaved)
      next = std::min(next, shelf.records.front().ended_at + shelf.limits.age);
  return next;
}

}  // namespace poold::engine
