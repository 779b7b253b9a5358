#include "daemon/engine/workers/worker_link.hpp"

#include <limits>
#include <utility>

#include "common/frame_message.hpp"

namespace poold::engine {
namespace {

// So much is read before other peers get their turn: four pipes full.
constexpr std::size_t read_share = 256 * 1024;

}  // namespace

WorkerLink::WorkerLink(boost::asio::io_context& loop, const core::WorkerRef& worker, FileDescriptor tasks,
                       FileDescriptor results, Owner& owner)
    : worker_(worker),
      owner_(owner),
      tasks_(std::make_shared<ByteChannel>(loop, tasks.release())),
      results_(std::make_shared<ByteChannel>(loop, results.release())) {}

void WorkerLink::start() {
  results_->set_owner(shared_from_this());
  results_->want_read();
}

std::string& WorkerLink::out() {
  if (!std::exchange(flush_pending_, true)) owner_.flush_at_end_of_turn(shared_from_this());
  return tasks_->out();
}

void WorkerLink::flush() {
  flush_pending_ = false;
  tasks_->flush();
}

void WorkerLink::send(const v1::ToWorker& frame) { append_message(out(), frame); }

void WorkerLink::send_task(const OutgoingTask& task) {
  // A spec came in one frame and leaves in one that is a few bytes larger: at the very limit it may not fit.
  if (!append_task(out(), task)) owner_.on_task_too_long(worker_, task.task, task.attempt);
}

void WorkerLink::on_readable() {
  const auto self = shared_from_this();
  owner_.on_worker_turn();
  if (read_some(read_share)) results_->want_read();
}

// False if nothing more will be read.
bool WorkerLink::read_some(std::size_t share) {
  for (std::size_t taken = 0; taken < share;) {
    const auto space = reader_.prepare();
    const auto result = results_->read(space);
    switch (result.status) {
      case ByteChannel::ReadStatus::would_block:
        return true;
      case ByteChannel::ReadStatus::end:
      case ByteChannel::ReadStatus::failed:
        if (!std::exchange(broken_, true))
          owner_.on_worker_broken(worker_, "it closed its result pipe", true);
        return false;
      case ByteChannel::ReadStatus::bytes:
        break;
    }
    reader_.commit(result.count);
    taken += result.count;
    if (broken_) return false;
    for (;;) {
      const FrameResult next = reader_.next();
      if (std::holds_alternative<FrameIncomplete>(next)) break;
      const auto* frame = std::get_if<Frame>(&next);
      const auto plain = frame ? read_plain_result(frame->payload) : std::nullopt;
      if (plain) {
        owner_.on_worker_result(worker_, *plain);
        continue;
      }
      if (frame && parse_message(frame_, frame->payload)) {
        owner_.on_worker_frame(worker_, frame_);
        continue;
      }
      broken_ = true;
      owner_.on_worker_broken(worker_,
                              frame ? "it sent a frame that is no poold.v1.FromWorker"
                                    : std::string(describe(std::get<FrameError>(next))),
                              false);
      return false;
    }
    if (result.count < space.size()) return true;
  }
  return true;
}

void WorkerLink::drain_and_close() {
  const auto self = shared_from_this();
  // Until it would block, not until its end: a grandchild may hold the other end.
  if (!broken_) read_some(std::numeric_limits<std::size_t>::max());
  close();
}

void WorkerLink::close() {
  tasks_->close();
  results_->close();
}

}  // namespace poold::engine
