#include "daemon/engine/control/end_waiter.hpp"

#include <utility>

namespace poold::engine {

EndWaiter::EndWaiter(Backend& backend, std::shared_ptr<Call> call, bool any)
    : backend_(backend), call_(std::move(call)), any_(any), timer_(backend.loop()) {}

void EndWaiter::begin(const std::vector<core::Sequence>& unfinished, bool one_ended,
                      std::optional<std::int64_t> timeout_ns) {
  unfinished_ = unfinished.size();
  for (const core::Sequence task : unfinished) backend_.watch(task, weak_from_this());
  if (unfinished_ == 0 || (any_ && one_ended) || (timeout_ns && *timeout_ns <= 0)) return answer();
  if (!timeout_ns) return;
  timer_.expires_after(std::chrono::nanoseconds(*timeout_ns));
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (error || !self) return;
    self->backend_.now();
    self->answer();
  });
}

void EndWaiter::on_ended(const Record&) {
  if (unfinished_ > 0) --unfinished_;
  if (unfinished_ == 0 || any_) answer();
}

void EndWaiter::answer() {
  if (std::exchange(answered_, true)) return;
  timer_.cancel();
  reply(*call_);
}

}  // namespace poold::engine
