// Finds things by their sequence number: open addressing by the number's low bits, or by what `Home` makes of
// it. Numbers that follow one another lie beside each other, so that a queue of a million, walked in order,
// costs the cache no more than a queue of a thousand. Where somebody else chooses the numbers, `Home` has a
// scatter(): it is called when numbers fall together, and makes other homes of them from then on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/invariant.hpp"
#include "daemon/core/types.hpp"

namespace poold::core {

struct SequenceItself {
  std::uint64_t operator()(Sequence sequence) const { return sequence; }
};

template <class T, class Home = SequenceItself>
class SequenceIndex {
 public:
  explicit SequenceIndex(Home home = {}) : home_(home), slots_(1024), patience_(1024) {}

  std::size_t size() const { return size_; }

  // The sequence must not be in the index; `value` not null.
  void insert(Sequence sequence, T* value) {
    if ((size_ + 1) * 2 > slots_.size()) rebuild(slots_.size() * 2);
    [[maybe_unused]] const std::int64_t went = place({sequence, value});
    ++size_;
    if constexpr (requires { home_.scatter(); }) {
      const auto room = static_cast<std::int64_t>(slots_.size());
      patience_ = std::min(patience_ + steps_expected, room) - went;
      if (patience_ < 0 && home_.scatter()) rebuild(slots_.size());
    }
  }

  T* find(Sequence sequence) const {
    const std::size_t at = locate(sequence);
    return at == nowhere ? nullptr : slots_[at].value;
  }

  // Calls with every value, in no order. The index must not be changed meanwhile.
  template <class Visit>
  void each(Visit visit) const {
    for (const Slot& slot : slots_)
      if (slot.value) visit(*slot.value);
  }

  // The sequence must be in the index.
  void erase(Sequence sequence) {
    std::size_t hole = locate(sequence);
    invariant(hole != nowhere, "what is taken out of an index is in it");
    // Entries behind the hole move up until one is at home (or nothing is there): so no tombstones gather,
    // and a long run of numbers, all at home, is not walked.
    for (std::size_t at = next(hole); slots_[at].value && distance(at) > 0; at = next(at)) {
      slots_[hole] = slots_[at];
      hole = at;
      --patience_;
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
  static constexpr std::size_t nowhere = ~std::size_t{0};
  // Of an insertion, on the average: many more than in a table that is half full at most and well scattered.
  static constexpr std::int64_t steps_expected = 16;
  std::size_t mask() const { return slots_.size() - 1; }
  std::size_t home(Sequence sequence) const { return home_(sequence) & mask(); }
  std::size_t next(std::size_t at) const { return (at + 1) & mask(); }
  // How far the entry at this place is from its home.
  std::size_t distance(std::size_t at) const { return (at - home(slots_[at].sequence)) & mask(); }

  // Robin Hood hashing (Celis, 1986): whoever is farther from home has the place. So entries stand in the
  // order of their homes, and a search ends where somebody stands who is nearer to his. How far they all had
  // to go.
  std::int64_t place(Slot wanderer) {
    std::size_t at = home(wanderer.sequence);
    std::int64_t went = 0;
    for (std::size_t away = 0; slots_[at].value; at = next(at), ++away, ++went) {
      invariant(slots_[at].sequence != wanderer.sequence, "a sequence number is used once");
      if (const std::size_t other = distance(at); other < away) {
        std::swap(slots_[at], wanderer);
        away = other;
      }
    }
    slots_[at] = wanderer;
    return went;
  }

  std::size_t locate(Sequence sequence) const {
    std::size_t at = home(sequence);
    for (std::size_t away = 0; slots_[at].value && distance(at) >= away; at = next(at), ++away)
      if (slots_[at].sequence == sequence) return at;
    return nowhere;
  }

  void rebuild(std::size_t size) {
    const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(size));
    for (const Slot& slot : old)
      if (slot.value) place(slot);
    patience_ = static_cast<std::int64_t>(size);
  }

  [[no_unique_address]] Home home_;
  std::vector<Slot> slots_;  // a power of two
  std::size_t size_ = 0;
  std::int64_t patience_;  // steps that may still be walked before numbers are said to fall together
};

}  // namespace poold::core
