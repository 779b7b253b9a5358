// The two pipes of one worker: tasks out, results in; and the socket for shared memory, where its pool has
// it. Bytes, frames and descriptors only; what they mean is decided elsewhere.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/frame.hpp"
#include "common/memory_socket.hpp"
#include "common/result_ring.hpp"
#include "common/seqpacket.hpp"
#include "daemon/core/types.hpp"
#include "daemon/engine/io/byte_channel.hpp"
#include "daemon/engine/io/plain_frames.hpp"
#include "poold/v1/worker.pb.h"

namespace poold::engine {

class WorkerLink : public ByteChannel::Owner,
                   public Flushable,
                   public std::enable_shared_from_this<WorkerLink> {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_worker_turn() = 0;  // something is about to be read: what time is it?
    virtual void on_worker_frame(const core::WorkerRef& worker, const v1::FromWorker& frame) = 0;
    // A result in its plain form. Valid during the call.
    virtual void on_worker_result(const core::WorkerRef& worker, const PlainResult& result) = 0;
    virtual void on_worker_broken(const core::WorkerRef& worker, std::string reason, bool only_closed) = 0;
    // The frame would be longer than frames may be; nothing was sent.
    virtual void on_task_too_long(const core::WorkerRef& worker, core::Sequence task,
                                  std::uint32_t attempt) = 0;
    virtual void flush_at_end_of_turn(std::shared_ptr<WorkerLink> link) = 0;
  };

  // `ring` may be invalid: then everything comes through the pipe. `memory` may be, too.
  WorkerLink(boost::asio::io_context& loop, const core::WorkerRef& worker, FileDescriptor tasks,
             FileDescriptor results, FileDescriptor ring, FileDescriptor memory, Owner& owner);

  void start();
  const core::WorkerRef& worker() const { return worker_; }
  bool want_ids() const { return want_ids_; }
  void set_want_ids(bool want) { want_ids_ = want; }
  // It has said that it takes shared memory, and has the socket.
  bool takes_memory() const { return says_it_takes_memory_ && memory_.is_open(); }
  void set_takes_memory(bool takes) { says_it_takes_memory_ = takes; }
  // Why it cannot work, in its own words; empty: it can, or has said nothing.
  const std::string& complaint() const { return complaint_; }
  void set_complaint(const std::string& complaint) { complaint_ = complaint; }

  void send(const v1::ToWorker& frame);
  // The same for a task, whose spec is bytes already.
  void send_task(const OutgoingTask& task);
  // The descriptor of its payload, before the task. False, with errno set: it cannot be sent.
  bool send_memory(const AttemptNumber& attempt, std::shared_ptr<const FileDescriptor> memory);
  // What it has sent before this result; invalid: nothing.
  FileDescriptor receive_memory(const AttemptNumber& attempt);
  // May its memory be looked at now? Not more often than ten times a second.
  bool may_look_at_memory(std::chrono::nanoseconds now) {
    if (now < next_look_) return false;
    next_look_ = now + std::chrono::milliseconds(100);
    return true;
  }
  void flush() override;

  // For an engine that takes this one's place: everything that has come is handled; then what is left, the
  // pipes included. Nothing if that cannot be handed over.
  struct Handed {
    std::string unsent, unread, unread_ring;
    std::vector<FileDescriptor> descriptors;  // in the order of a WorkerStarted
  };
  void read_now();
  std::optional<Handed> hand_over();
  // The other engine's part. Before start().
  void take_over(std::string_view unsent, std::string_view unread, std::string_view unread_ring);

  // The process is gone: reads what is left in its pipe, then closes both.
  void drain_and_close();
  void close();

 private:
  std::chrono::nanoseconds next_look_{};
  void on_readable() override;
  bool read_some(std::size_t share);
  bool handle_frames(FrameReader& reader);
  bool handle_frame(std::string_view payload);
  bool take_ring();
  bool fail(std::string reason);
  bool send_unsent_memory();
  void want_memory_write();
  std::string& out();

  core::WorkerRef worker_;
  Owner& owner_;
  std::shared_ptr<ByteChannel> tasks_;
  std::shared_ptr<ByteChannel> results_;
  FrameReader reader_;
  FileDescriptor ring_memory_;
  std::optional<ResultRing> ring_;
  FrameReader ring_reader_;
  v1::FromWorker frame_;  // reused
  boost::asio::posix::stream_descriptor memory_;
  struct UnsentMemory {
    AttemptNumber attempt;
    std::shared_ptr<const FileDescriptor> memory;
  };
  std::deque<UnsentMemory> unsent_memory_;  // the socket is full
  bool says_it_takes_memory_ = false;
  bool want_ids_ = false;
  std::string complaint_;
  bool ended_ = false;   // the pipe was read to its end
  bool broken_ = false;  // nothing it says counts any more
  bool flush_pending_ = false;
};

}  // namespace poold::engine
