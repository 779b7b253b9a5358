#include "daemon/engine/io/busy_poll.hpp"

#include <sched.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

namespace poold::engine {
namespace {

constexpr std::uint32_t misses_max = 12;

}  // namespace

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
  if (!std::exchange(posted_, true)) boost::asio::post(loop_, [this] { look(); });
}

}  // namespace poold::engine
