// Finds things by their sequence number: open addressing by the number's low bits. Numbers that follow one another lie beside each other, so
// that a queue of a million, walked in order, costs the cache no more than a queue of a thousand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/invariant.hpp"
#include "daemon/core/types.hpp"

namespace poold::core {

template <class T>
class SequenceIndex {
 public:
  SequenceIndex() : slots_(1024) {}

  std::size_t size() const { return size_; }

  // The sequence must not be in the index; `value` not null.
  void insert(Sequence sequence, T* value) {
    if ((size_ + 1) * 2 > slots_.size()) rebuild(slots_.size() * 2);
    std::size_t at = home(sequence);
    while (slots_[at].value) {
      invariant(slots_[at].sequence != sequence, "a sequence number is used once");
      at = next(at);
    }
    slots_[at] = {sequence, value};
    ++size_;
  }

  T* find(Sequence sequence) const {
    for (std::size_t at = home(sequence); slots_[at].value; at = next(at))
      if (slots_[at].sequence == sequence) return slots_[at].value;
    return nullptr;
  }

  // Calls with every value, in no order. The index must not be changed meanwhile.
  template <class Visit>
  void each(Visit visit) const {
    for (const Slot& slot : slots_)
      if (slot.value) visit(*slot.value);
  }

  // The sequence must be in the index.
  void erase(Sequence sequence) {
    std::size_t hole = home(sequence);
    while (slots_[hole].sequence != sequence) {
      invariant(slots_[hole].value != nullptr, "what is taken out of an index is in it");
      hole = next(hole);
    }
    // Backward shift: entries behind the hole move up unless that would put them before their home, so that no tombstones gather.
    for (std::size_t at = next(hole); slots_[at].value; at = next(at)) {
      const std::size_t from_home = (at - home(slots_[at].sequence)) & mask();
      const std::size_t from_hole = (at - hole) & mask();
      if (from_home < from_hole) continue;
      slots_[hole] = slots_[at];
      hole = at;
    }
    slots_[hole] = {};
    --size_;
    // A burst's room is given back, so that memory follows what is there.
    if (slots_.size() > 64 * 1024 && size_ * 8 < slots_.size()) rebuild(slots_.size() / 2);
  }

 private:
  struct Slot {
    Sequence sequence = 0;
    T* value = nullptr;
  };
  std::size_t mask() const { return slots_.size() - 1; }
  std::size_t home(Sequence sequence) const { return sequence & mask(); }
  std::size_t next(std::size_t at) const { return (at + 1) & mask(); }

  void rebuild(std::size_t size) {
    const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(size));
    for (const Slot& slot : old) {
      if (!slot.value) continue;
      std::size_t at = home(slot.sequence);
      while (slots_[at].value) at = next(at);
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_;  // a power of two
  std::size_t size_ = 0;
};

}  // namespace poold::core
