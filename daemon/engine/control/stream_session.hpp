// A client's side of the frames: submits tasks, is told of what becomes of them.
//
// The plain case (submit, result) is kept short, because it happens a million times a second: the session
// knows its tasks by tag, and a result is copied from the worker's frame into the client's. Whoever wants
// more (output, starts, a task by id) gets an Attachment.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "daemon/core/sequence_index.hpp"
#include "daemon/engine/control/backend.hpp"
#include "daemon/engine/io/plain_frames.hpp"
#include "daemon/engine/store/task_memory.hpp"
#include "poold/v1/stream.pb.h"

namespace poold::engine {

class Attachment;
class Connection;

// Tags are the peer's. Most count, and are at home where they say. A peer must not be able to choose tags
// that fall together, so where they do (as addresses may, too) blocks of them are scattered by a secret (with
// the finalizer of SplitMix64).
struct TagHome {
  std::uint64_t secret = 0;
  bool scattered = false;

  // False: they were already.
  bool scatter() { return !std::exchange(scattered, true); }
  std::uint64_t operator()(std::uint64_t tag) const {
    if (!scattered) [[likely]]
      return tag;
    constexpr unsigned block_bits = 2;
    std::uint64_t block = (tag >> block_bits) ^ secret;
    block = (block ^ (block >> 30)) * 0xbf58476d1ce4e5b9u;
    block = (block ^ (block >> 27)) * 0x94d049bb133111ebu;
    block ^= block >> 31;
    return block << block_bits | (tag & ((1u << block_bits) - 1));
  }
};

class StreamSession : public Client, public RoomWaiter, public std::enable_shared_from_this<StreamSession> {
 public:
  StreamSession(Backend& backend, std::weak_ptr<Connection> connection, const Rights& rights);
  ~StreamSession() override;

  void start();
  // False: the stream is to be closed after what was written.
  bool handle(std::string_view payload);
  // Tells the peer why the stream ends.
  void fail(const ConnectError& error);
  // The connection is gone: unfinished tasks are cancelled if the client wanted that.
  void close();

  void on_accepted(const core::Accepted& accepted) override;
  void on_refused(const core::Refused& refused) override;
  void on_finished(const Record& record) override;
  void on_room() override;
  // A submission waits for room: nothing behind it is to be read.
  bool stalled() const { return stalled_.has_value(); }

  // For attachments.
  Backend& backend() { return backend_; }
  void send(const v1::ServerFrame& frame);
  void send_result(std::uint64_t tag, const Record* record);
  bool has_room() const;
  void detach(std::uint64_t tag);

 private:
  void handle_hello(const v1::StreamHello& hello);
  void handle_plain_submit(const PlainSubmit& plain);
  void handle_submit(v1::StreamSubmit& submit);
  void submit(core::Submit&& submission, std::uint64_t tag);
  void handle_cancel(std::uint64_t tag);
  void handle_signal(const v1::StreamSignal& signal);
  void handle_follow(const v1::StreamFollow& follow);
  void reject(std::uint64_t tag, const ConnectError& error);
  void send_result_with_memory(std::uint64_t tag, const Record& record, TaskMemory& memory);
  void append_result_frame(std::uint64_t tag, std::uint32_t attempt, std::string_view outcome);
  void attach(std::uint64_t tag, const TaskId& id, bool started, bool output, std::uint32_t attempt,
              std::uint64_t offset);
  bool tag_in_use(std::uint64_t tag) const;
  core::Sequence find(std::uint64_t tag) const;
  bool is_mine(const core::Task& task, std::uint64_t tag) const;
  core::Sequence find_own(std::uint64_t tag);
  void resume_attachments();
  std::string& out();

  // What a submission asked for beyond its result, until it is accepted. One that finds the task of its key
  // has this always: until then the session does not know which task its tag stands for.
  struct Wishes {
    bool accepted = false;
    bool started = false;
    bool output = false;
    bool take_over = false;
    bool cancel = false;  // came before it was accepted
  };

  Backend& backend_;
  std::weak_ptr<Connection> connection_;
  core::ClientToken token_ = 0;
  bool greeted_ = false;
  bool failed_ = false;
  bool cancel_on_close_ = false;
  bool takes_memory_ = false;
  Rights rights_;  // as they were when the stream began
  core::PoolIndex last_pool_ = 0;
  v1::ClientFrame frame_;                                 // reused
  core::SequenceIndex<const core::Task, TagHome> tasks_;  // by tag
  std::unordered_map<std::uint64_t, Wishes> wishes_;
  struct Stalled {
    core::Submit submission;
    std::uint64_t tag = 0;
  };
  std::optional<Stalled> stalled_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Attachment>> attachments_;
  std::unordered_set<std::uint64_t> taken_over_;  // tags of tasks that are this client's again
};

}  // namespace poold::engine
