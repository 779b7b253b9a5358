#include "daemon/worker/engine_link.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <utility>
#include <variant>

#include "client/cpp/src/session.hpp"
#include "common/frame_message.hpp"

namespace poold::worker {

void EngineLink::say_hello(v1::FromWorker hello) {
  hello_ = std::move(hello);
  outbox_.add(hello_);
}

v1::FromWorker EngineLink::hello_again() const {
  v1::FromWorker message = hello_;
  auto& owed = *message.mutable_hello()->mutable_owed();
  message.mutable_hello()->set_again(true);
  outbox_.each_owed([&](std::uint64_t task) { owed.Add(task); });
  for (const std::uint64_t task : unfinished_()) owed.Add(task);
  return message;
}

EngineLink::Engine EngineLink::lose_engine() {
  if (!outbox_.keeps()) return Engine::lost;
  connected_ = false;
  return Engine::away;
}

EngineLink::Engine EngineLink::flush() {
  if (!connected_) return Engine::away;
  return outbox_.flush() == Outbox::Flush::closed ? lose_engine() : Engine::there;
}

EngineLink::Read EngineLink::read(const Act& act, Engine& engine) {
  engine = Engine::there;
  const auto space = reader_.prepare();
  const ssize_t got = ::read(task_pipe, space.data(), space.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return Read::good;
  if (got <= 0) {
    engine = lose_engine();
    return Read::good;
  }
  reader_.commit(static_cast<std::size_t>(got));
  for (;;) {
    const FrameResult result = reader_.next();
    if (std::holds_alternative<FrameIncomplete>(result)) return Read::good;
    const auto* frame = std::get_if<Frame>(&result);
    if (frame && parse_message(incoming_, frame->payload) && act(incoming_)) continue;
    std::fprintf(stderr, "worker: the engine sent what is no protocol\n");
    return Read::broken;
  }
}

void EngineLink::notice_end() {
  pollfd pipe{task_pipe, 0, 0};
  if (connected_ && ::poll(&pipe, 1, 0) > 0 && (pipe.revents & (POLLHUP | POLLERR)) != 0) lose_engine();
}

EngineLink::News EngineLink::look_at_lifeline() {
  std::optional<ResultRing> ring;
  switch (read_lifeline(ring)) {
    case LifelineNews::nothing:
      return News::nothing;
    case LifelineNews::new_pipes:
      connected_ = true;
      reader_ = FrameReader();  // what was half read is half a frame of the old one's
      outbox_.restart(std::move(ring), hello_again());
      return News::new_engine;
    case LifelineNews::ended:
      if (!outbox_.has_file() || !outbox_.keeps()) end_with_session(0);
      orphaned_ = true;
      connected_ = false;
      return News::orphaned;
  }
  return News::nothing;
}

void EngineLink::end_as_orphan() {
  if (!outbox_.acknowledged()) write_last_words();
  end_with_session(0);
}

}  // namespace poold::worker
