#include "client/cpp/src/pending_table.hpp"

#include <utility>

namespace poold {
namespace {

std::uint32_t slot_of(std::uint64_t tag) { return static_cast<std::uint32_t>(tag); }
std::uint32_t uses_of(std::uint64_t tag) { return static_cast<std::uint32_t>(tag >> 32); }

}  // namespace

std::uint64_t PendingTable::add(Receiver receiver, std::string spec) {
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t number = free_.back();
  free_.pop_back();
  Slot& slot = slots_[number];
  slot.taken = true;
  slot.receiver = std::move(receiver);
  if (!spec.empty()) slot.kept = std::make_unique<Kept>(Kept{std::move(spec)});
  ++size_;
  return tag_of(number);
}

bool PendingTable::contains(std::uint64_t tag) const {
  const std::uint32_t number = slot_of(tag);
  return number < slots_.size() && slots_[number].taken && slots_[number].uses == uses_of(tag);
}

PendingTable::Receiver PendingTable::take(std::uint64_t tag) {
  if (!contains(tag)) return {};
  Slot& slot = slots_[slot_of(tag)];
  slot.taken = false;
  slot.kept.reset();
  ++slot.uses;
  free_.push_back(slot_of(tag));
  --size_;
  return std::exchange(slot.receiver, {});
}

template <class Wanted>
std::vector<PendingTable::Receiver> PendingTable::take_if(Wanted wanted) {
  std::vector<Receiver> taken;
  for (std::uint32_t number = 0; number < slots_.size(); ++number)
    if (slots_[number].taken && wanted(slots_[number])) taken.push_back(take(tag_of(number)));
  return taken;
}

std::vector<PendingTable::Receiver> PendingTable::take_all() {
  return take_if([](const Slot&) { return true; });
}

std::vector<PendingTable::Receiver> PendingTable::take_unkept() {
  return take_if([](const Slot& slot) { return !slot.kept; });
}

void PendingTable::note_cancel(std::uint64_t tag) {
  Slot& slot = slots_[slot_of(tag)];
  if (slot.kept) slot.kept->cancelled = true;
}

void PendingTable::deliver(Receiver& receiver, StreamResult& result) noexcept {
  if (auto* promise = std::get_if<std::promise<Outcome>>(&receiver)) {
    if (result.code == Code::ok)
      promise->set_value(std::move(result.outcome));
    else
      promise->set_exception(std::make_exception_ptr(Error(result.code, result.message)));
  } else if (auto* callback = std::get_if<Stream::Callback>(&receiver)) {
    (*callback)(result);
  }
}

void PendingTable::deliver_lost(Receiver& receiver, const StreamResult& result) noexcept {
  if (auto* promise = std::get_if<std::promise<Outcome>>(&receiver))
    promise->set_exception(std::make_exception_ptr(ConnectionLost(result.code, result.message)));
  else if (auto* callback = std::get_if<Stream::Callback>(&receiver))
    (*callback)(result);
}

}  // namespace poold
