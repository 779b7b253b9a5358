#include "client/cpp/src/exchange.hpp"

#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "common/frame_message.hpp"

namespace poold::worker {
namespace {

// The engine sends ahead what a few milliseconds take; this is for one that does not keep to that.
constexpr std::size_t held_size_max = 64 * 1024 * 1024;

// Whether a frame is a WorkerTask, told by its first byte: the only field of ToWorker that is set. Any other
// way to write the same message is sorted out after parsing.
bool looks_like_task(std::string_view frame) {
  constexpr char tag = v1::ToWorker::kTaskFieldNumber << 3 | 2;
  return !frame.empty() && frame[0] == tag;
}

}  // namespace

bool Exchange::complain(std::string_view what) {
  std::fprintf(stderr, "worker: the engine sent what is no protocol: %.*s\n", static_cast<int>(what.size()),
               what.data());
  return false;
}

Exchange::Next Exchange::next(std::string_view& frame) {
  if (!held_.empty()) {
    popped_ = held_.pop();
    frame = popped_;
    return Next::task;
  }
  while (!last() || outbox.keeps()) {
    const FrameResult result = reader_.next();
    if (const auto* error = std::get_if<FrameError>(&result)) return complain(describe(*error)), Next::broken;
    const auto* got = std::get_if<Frame>(&result);
    if (!got) return Next::nothing;
    if (looks_like_task(got->payload)) {
      if (stopped_) continue;
      frame = got->payload;
      return Next::task;
    }
    if (!act(got->payload)) return Next::broken;
    // Acting may have held a task that was written in another way.
    if (!held_.empty()) return next(frame);
  }
  return Next::nothing;
}

Exchange::Read Exchange::read_once() {
  const auto space = reader_.prepare();
  ssize_t n;
  do n = ::read(task_pipe, space.data(), space.size());
  while (n < 0 && errno == EINTR);
  if (n > 0) {
    reader_.commit(static_cast<std::size_t>(n));
    return Read::some;
  }
  return n < 0 && errno == EAGAIN ? Read::nothing : Read::end;
}

bool Exchange::wait_for_input(std::unique_lock<std::mutex>& lock) {
  for (;;) {
    if (closed_ && outbox.keeps()) {
      // The second thread takes the new pipes.
      new_engine_.wait(lock, [this] { return !closed_; });
      return true;
    }
    switch (read_once()) {
      case Read::some:
        return true;
      case Read::end:
        closed_ = true;
        if (outbox.keeps()) continue;
        return false;
      case Read::nothing:
        break;  // somebody made our end non-blocking
    }
    pollfd pipe{task_pipe, POLLIN, 0};
    ::poll(&pipe, 1, -1);
  }
}

bool Exchange::full() const { return held_.size() >= held_size_max; }

bool Exchange::take_in() {
  while (sort_frames()) {
    pollfd pipe{task_pipe, POLLIN, 0};
    if (closed_ || full() || ::poll(&pipe, 1, 0) <= 0) return true;
    if (read_once() == Read::end) {
      // Nobody is there to be told: what has not started will be given to another worker.
      closed_ = true;
      if (!outbox.keeps()) held_.clear();
    }
  }
  return false;
}

// Whatever the reader has: tasks are held, the rest is acted on. False: broken.
bool Exchange::sort_frames() {
  for (;;) {
    const FrameResult result = reader_.next();
    if (const auto* error = std::get_if<FrameError>(&result)) return complain(describe(*error));
    const auto* frame = std::get_if<Frame>(&result);
    if (!frame) return true;
    if (looks_like_task(frame->payload)) {
      hold(frame->payload);
    } else if (!act(frame->payload)) {
      return false;
    }
  }
}

void Exchange::hold(std::string_view frame) {
  if (!stopped_) held_.push(frame);
}

bool Exchange::act(std::string_view frame) {
  if (!parse_message(incoming_, frame)) return complain("a frame that is no ToWorker");
  switch (incoming_.frame_case()) {
    case v1::ToWorker::kWelcome: {
      const auto& versions = incoming_.welcome().versions();
      if (std::find(versions.begin(), versions.end(), protocol_version) == versions.end())
        return complain("a welcome without version 1");
      if (incoming_.welcome().keep_results()) outbox.keep();
      return true;
    }
    case v1::ToWorker::kTask:
      hold(frame);
      return true;
    case v1::ToWorker::kCancel:
      cancel(incoming_.cancel());
      return true;
    case v1::ToWorker::kReturn:
      give_back(incoming_.return_());
      return true;
    case v1::ToWorker::kStop:
      stopped_ = true;
      return true;
    case v1::ToWorker::kAck:
      for (const std::uint64_t task : incoming_.ack().tasks()) outbox.acknowledge(task);
      return true;
    case v1::ToWorker::kSignal:        // a function has no process group
    case v1::ToWorker::FRAME_NOT_SET:  // of a later version
      return true;
  }
  return true;
}

void Exchange::cancel(const v1::WorkerCancel& request) {
  if (running_ && running_task_ == request.task() && running_attempt_ == request.attempt()) {
    cancelled.store(1, std::memory_order_relaxed);
    ::syscall(SYS_futex, &cancelled, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
    return;
  }
  if (!held_.remove(request.task(), request.attempt())) return;
  auto& result = *reply_.mutable_result();
  result.set_task(request.task());
  result.set_attempt(request.attempt());
  result.mutable_outcome()->set_kind(v1::Outcome::CANCELLED);
  outbox.add_result(reply_, request.task());
}

void Exchange::give_back(const v1::WorkerReturn& request) {
  const auto& asked = request.tasks();
  const auto taken = held_.take_back({asked.data(), static_cast<std::size_t>(asked.size())});
  auto& returned = *reply_.mutable_returned();
  returned.mutable_tasks()->Assign(taken.begin(), taken.end());
  outbox.add(reply_);
}

void Exchange::meet_engine(std::optional<ResultRing> ring) {
  // What was half read is half a frame of the old one's.
  reader_ = FrameReader();
  closed_ = false;
  outbox.restart(std::move(ring), hello_again());
  new_engine_.notify_one();
}

bool Exchange::become_orphan() {
  reader_ = FrameReader();
  held_.clear();
  closed_ = orphaned_ = true;
  if (running_ || !outbox.acknowledged()) say_last_words();
  return running_;
}

v1::FromWorker Exchange::hello_again() {
  v1::FromWorker message = hello;
  auto& owed = *message.mutable_hello()->mutable_owed();
  message.mutable_hello()->set_again(true);
  outbox.each_owed([&](std::uint64_t task) { owed.Add(task); });
  if (running_) owed.Add(running_task_);
  held_.each([&](std::uint64_t task) { owed.Add(task); });
  return message;
}

void Exchange::start(std::uint64_t task, std::uint32_t attempt) {
  running_task_ = task;
  running_attempt_ = attempt;
  running_ = true;
}

bool Exchange::finish() {
  running_ = false;
  if (cancelled.load(std::memory_order_relaxed) == 0) [[likely]]
    return false;
  cancelled.store(0, std::memory_order_relaxed);
  return true;
}

}  // namespace poold::worker
