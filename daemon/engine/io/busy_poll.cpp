#include "daemon/engine/io/busy_poll.hpp"

#include <sched.h>

#include <algorithm>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace poold::engine {
namespace {

constexpr std::uint32_t misses_max = 12;

}  // namespace

template <class T>
struct BusyPoll::Allocator {
  using value_type = T;

  explicit Allocator(std::shared_ptr<Memory> of) : memory(std::move(of)) {}
  template <class U>
  Allocator(const Allocator<U>& other) : memory(other.memory) {}

  T* allocate(std::size_t) {
    static_assert(sizeof(T) <= sizeof(Memory::bytes) && alignof(T) <= alignof(Memory));
    return reinterpret_cast<T*>(memory->bytes);
  }
  void deallocate(T*, std::size_t) {}
  template <class U>
  bool operator==(const Allocator<U>& other) const {
    return memory == other.memory;
  }

  std::shared_ptr<Memory> memory;
};

void BusyPoll::begin(History& kind) {
  if (!useful_) return;
  if (kind.left_out > 0) {
    --kind.left_out;
    return;
  }
  kind_ = &kind;
  until_ = std::chrono::steady_clock::now() + span;
  look_again();
}

void BusyPoll::end() {
  if (History* kind = std::exchange(kind_, nullptr)) kind->misses = 0;
}

void BusyPoll::look() {
  posted_ = false;
  if (!kind_) return;
  if (std::chrono::steady_clock::now() < until_) {
    // The peer may have been put on this processor.
    ::sched_yield();
    look_again();
    return;
  }
  kind_->misses = std::min(kind_->misses + 1, misses_max);
  kind_->left_out = 1U << kind_->misses;
  kind_ = nullptr;
}

// A loop that has a handler to run asks the kernel without waiting.
void BusyPoll::look_again() {
  if (std::exchange(posted_, true)) return;
  boost::asio::post(loop_, boost::asio::bind_allocator(Allocator<void*>(memory_), [this] { look(); }));
}

}  // namespace poold::engine
