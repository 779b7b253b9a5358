// The run goes on over another stream when the first one broke.
#include <poll.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "client/cli/map_run.hpp"
#include "client/cpp/poold/error.hpp"

namespace poold::cli {

// Throws it again where there is to be no other try.
void MapRun::lose(const ConnectionLost& lost) {
  if (!reconnection_.allowed() || lost.code() != Code::unavailable) throw lost;
  frames_.reset();
  lost_reason_ = lost.what();
  // What breaks at once belongs to the same outage.
  const bool was_of_use = std::exchange(heard_, false);
  if (was_of_use || Clock::now() - connected_at_ > Reconnection::try_timeout) reconnection_.lost();
}

// Until there is a stream, or nothing more to be waited for.
void MapRun::connect_again() {
  progress_.hide();
  while (!finished()) {
    const auto pause = reconnection_.next_pause();
    if (!pause)
      throw Unreachable(Code::unavailable,
                        reconnection_.failure({}, lost_reason_) + (log_ ? " (go on with --resume)" : ""));
    if (wait_for(signals_.descriptor(), POLLIN, deadline_after(*pause)) != 0) take_signal();
    try {
      FrameStream::Options stream = stream_;
      stream.connect_timeout = Reconnection::try_timeout;
      frames_ = std::make_unique<FrameStream>(stream);
      connected_at_ = Clock::now();
      return submit_again();
    } catch (const ConnectionLost& error) {
      lost_reason_ = error.what();
    } catch (const Unreachable& error) {
      lost_reason_ = error.what();
    }
  }
}

// What was in flight, in the order of the items.
void MapRun::submit_again() {
  std::vector<std::size_t> unfinished;
  for (std::size_t at = 0; at < slots_.size(); ++at)
    if (slots_[at].in_flight) unfinished.push_back(at);
  std::ranges::sort(unfinished, {}, [this](std::size_t at) { return slots_[at].seq; });
  if (options_.durable) {
    for (const std::size_t at : unfinished) {
      shelf_.drop(slots_[at].output);  // it is told from its beginning
      slots_[at].output_attempt = 0;
      send(at, true);
      if (cancelled_) frames_->send_cancel(at);  // may have been lost with the connection
    }
    return;
  }
  const bool were_cancelled = cancelled_;
  for (const std::size_t at : unfinished) slots_[at].in_flight = false;
  in_flight_ -= unfinished.size();
  for (const std::size_t at : unfinished)
    if (were_cancelled)
      record(slots_[at], {});
    else
      end_lost(slots_[at]);
}

}  // namespace poold::cli
