// What a Stream's submissions wait for: a slot each, found by tag, and how to tell the one who waits.
// A tag is a slot's number and how often the slot was used before, so that a late cancel never meets the
// slot's next task.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "client/cpp/poold/stream.hpp"

namespace poold {

class PendingTable {
 public:
  // Empty: nobody waits.
  using Receiver = std::variant<std::monostate, std::promise<Outcome>, Stream::Callback>;

  // `spec`: an encoded task that may be submitted again; empty: it may not.
  std::uint64_t add(Receiver receiver, std::string spec = {});
  // Empty if there is no such tag: the daemon made it up.
  Receiver take(std::uint64_t tag);
  std::vector<Receiver> take_all();
  // Those that may not be submitted again.
  std::vector<Receiver> take_unkept();
  struct Kept {
    std::string spec;
    bool cancelled = false;  // its cancel is to be said again, too
  };
  // Of every task that may be submitted again.
  template <class Visit>
  void each_kept(Visit visit) {
    for (std::uint32_t number = 0; number < slots_.size(); ++number)
      if (slots_[number].taken && slots_[number].kept) visit(tag_of(number), *slots_[number].kept);
  }
  void drop_kept(std::uint64_t tag) { slots_[static_cast<std::uint32_t>(tag)].kept.reset(); }
  void note_cancel(std::uint64_t tag);
  bool contains(std::uint64_t tag) const;
  std::size_t size() const { return size_; }

  // Hands the result over; its outcome is moved from where it can be.
  static void deliver(Receiver& receiver, StreamResult& result) noexcept;
  // The same for a connection that broke: futures get a ConnectionLost.
  static void deliver_lost(Receiver& receiver, const StreamResult& result) noexcept;

 private:
  struct Slot {
    std::uint32_t uses = 0;
    bool taken = false;
    Receiver receiver;
    std::unique_ptr<Kept> kept;
  };
  std::uint64_t tag_of(std::uint32_t number) const {
    return std::uint64_t{slots_[number].uses} << 32 | number;
  }
  template <class Wanted>
  std::vector<Receiver> take_if(Wanted wanted);

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::size_t size_ = 0;
};

}  // namespace poold
