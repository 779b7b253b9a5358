#include "daemon/engine/workers/worker_link.hpp"

#include <fcntl.h>

#include <limits>
#include <utility>

#include "common/frame_message.hpp"

namespace poold::engine {
namespace {

// So much is read before other peers get their turn: four pipes full.
constexpr std::size_t read_share = 256 * 1024;

}  // namespace

WorkerLink::WorkerLink(boost::asio::io_context& loop, const core::WorkerRef& worker, FileDescriptor tasks,
                       FileDescriptor results, FileDescriptor ring, FileDescriptor memory, Owner& owner)
    : worker_(worker),
      owner_(owner),
      tasks_(std::make_shared<ByteChannel>(loop, tasks.release())),
      results_(std::make_shared<ByteChannel>(loop, results.release())),
      ring_memory_(std::move(ring)),
      ring_(ResultRing::map(ring_memory_)),
      memory_(loop) {
  if (memory.valid()) memory_.assign(memory.release());
}

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

bool WorkerLink::send_memory(const AttemptNumber& attempt, std::shared_ptr<const FileDescriptor> memory) {
  const bool waits = !unsent_memory_.empty();
  unsent_memory_.push_back({attempt, std::move(memory)});
  return waits || send_unsent_memory();
}

bool WorkerLink::send_unsent_memory() {
  while (!unsent_memory_.empty()) {
    const UnsentMemory& first = unsent_memory_.front();
    const Transfer sent = poold::send_memory(memory_.native_handle(), first.attempt, *first.memory);
    if (sent == Transfer::would_block) {
      want_memory_write();
      return true;
    }
    unsent_memory_.pop_front();
    if (sent != Transfer::done) return false;
  }
  return true;
}

void WorkerLink::want_memory_write() {
  memory_.async_wait(boost::asio::posix::stream_descriptor::wait_write,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (error || !self->memory_.is_open()) return;
                       if (!self->send_unsent_memory()) self->fail("shared memory cannot be sent to it");
                     });
}

FileDescriptor WorkerLink::receive_memory(const AttemptNumber& attempt) {
  if (!memory_.is_open()) return FileDescriptor();
  return poold::receive_memory(memory_.native_handle(), attempt);
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
        // What it had put into the ring before counts.
        if (ended_ || broken_ || (ring_ && !take_ring())) return false;
        ended_ = true;
        owner_.on_worker_broken(worker_, "it closed its result pipe", true);
        return false;
      case ByteChannel::ReadStatus::bytes:
        break;
    }
    reader_.commit(result.count);
    taken += result.count;
    if (broken_ || !handle_frames(reader_)) return false;
    if (result.count < space.size()) return true;
  }
  return true;
}

// The frames that are there. False if nothing more will be read.
bool WorkerLink::handle_frames(FrameReader& reader) {
  for (;;) {
    const FrameResult next = reader.next();
    if (std::holds_alternative<FrameIncomplete>(next)) return true;
    if (const auto* error = std::get_if<FrameError>(&next)) return fail(std::string(describe(*error)));
    if (!handle_frame(std::get<Frame>(next).payload)) return false;
  }
}

bool WorkerLink::handle_frame(std::string_view payload) {
  if (const auto plain = read_plain_result(payload)) {
    owner_.on_worker_result(worker_, *plain);
    return true;
  }
  if (is_plain_bell(payload)) return take_ring();
  if (!parse_message(frame_, payload)) return fail("it sent a frame that is no poold.v1.FromWorker");
  if (frame_.has_bell()) return take_ring();
  owner_.on_worker_frame(worker_, frame_);
  return true;
}

bool WorkerLink::take_ring() {
  if (!ring_) return fail("it rang for a result ring that it does not have");
  if (!ring_->take(ring_reader_)) return fail("its result ring is damaged");
  return handle_frames(ring_reader_);
}

bool WorkerLink::fail(std::string reason) {
  broken_ = true;
  owner_.on_worker_broken(worker_, std::move(reason), false);
  return false;
}

void WorkerLink::read_now() {
  const auto self = shared_from_this();
  if (!broken_ && !ended_) read_some(read_share);
  if (!broken_ && !ended_ && ring_) take_ring();
}

std::optional<WorkerLink::Handed> WorkerLink::hand_over() {
  if (broken_ || ended_ || !unsent_memory_.empty()) return std::nullopt;
  Handed handed{
      std::string(tasks_->unsent()), std::string(reader_.rest()), std::string(ring_reader_.rest()), {}};
  handed.descriptors.push_back(tasks_->duplicate());
  handed.descriptors.push_back(results_->duplicate());
  handed.descriptors.emplace_back(::fcntl(ring_memory_.get(), F_DUPFD_CLOEXEC, 0));
  if (memory_.is_open())
    handed.descriptors.emplace_back(::fcntl(memory_.native_handle(), F_DUPFD_CLOEXEC, 0));
  for (const FileDescriptor& descriptor : handed.descriptors)
    if (!descriptor.valid()) return std::nullopt;
  return handed;
}

void WorkerLink::take_over(std::string_view unsent, std::string_view unread, std::string_view unread_ring) {
  out() += unsent;
  reader_.feed(unread);
  ring_reader_.feed(unread_ring);
  if (ring_) ring_->go_on_reading();
}

void WorkerLink::drain_and_close() {
  const auto self = shared_from_this();
  // Until it would block, not until its end: a grandchild may hold the other end.
  if (!broken_ && !ended_) read_some(std::numeric_limits<std::size_t>::max());
  if (!broken_ && ring_) take_ring();
  close();
}

void WorkerLink::close() {
  tasks_->close();
  results_->close();
  boost::system::error_code ignored;
  memory_.close(ignored);
  unsent_memory_.clear();
}

}  // namespace poold::engine
