// What a Stream's submissions wait for: a slot each, found by tag, and how to tell the one who waits.
// A tag is a slot's number and how often the slot was used before, so that a late cancel never meets the
// slot's next task.
#pragma once

#include <cstdint>
#include <future>
#include <variant>
#include <vector>

#include "client/cpp/poold/stream.hpp"

namespace poold {

class PendingTable {
 public:
  // Empty: nobody waits.
  using Receiver = std::variant<std::monostate, std::promise<Outcome>, Stream::Callback>;

  std::uint64_t add(Receiver receiver);
  // Empty if there is no such tag: the daemon made it up.
  Receiver take(std::uint64_t tag);
  std::vector<Receiver> take_all();
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
  };

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::size_t size_ = 0;
};

}  // namespace poold
