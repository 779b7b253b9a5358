// What every worker has between itself and poold: the descriptors it was started with, its name, and the way
// results go out. Shared by the function loop here and by poold-worker's command runner.
#pragma once

#include <google/protobuf/message_lite.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "common/result_ring.hpp"
#include "common/seqpacket.hpp"
#include "common/worker_file.hpp"

namespace poold::worker {

inline constexpr int task_pipe = 3;
inline constexpr int result_pipe = 4;
inline constexpr int lifeline = 5;
inline constexpr std::uint32_t protocol_version = 1;

// A result is carried on to clients in a frame of theirs, which has a few fields more.
inline constexpr std::size_t result_size_max = 16 * 1024 * 1024 - 4096;

// "pool/slot/generation", from POOLD_WORKER.
struct Identity {
  std::string pool;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
};

// Reads POOLD_WORKER and makes the three descriptors ours: closed on exec, and the result pipe non-blocking,
// since its other end may be slow while the lifeline ends. Nothing, with the reason on stderr, if this
// process was not started by poold.
std::optional<Identity> take_channel();

// What the supervisor has said over the lifeline.
enum class LifelineNews { nothing, new_pipes, ended };
// Takes what is there. New pipes are put in the place of the old ones; `ring` is theirs, if they have one.
LifelineNews read_lifeline(std::optional<ResultRing>& ring);

// Frames on their way to the engine: through the result ring where there is one and it has room, else through
// the pipe.
class Outbox {
 public:
  // Takes the result ring over, if the supervisor gave one.
  Outbox();

  // False, and nothing is added, if the message is longer than a frame may be.
  bool add(const google::protobuf::MessageLite& message);
  // The same for the result of an attempt of this task, and for what is said about one before its result: if
  // keep() was called, they are kept until the engine has acknowledged the result.
  bool add_result(const google::protobuf::MessageLite& message, std::uint64_t task);
  bool add_before_result(const google::protobuf::MessageLite& message, std::uint64_t task);
  void keep() { keeps_ = true; }
  bool keeps() const { return keeps_; }
  // The oldest result of this task.
  void acknowledge(std::uint64_t task);
  // Nothing waits for an acknowledgement.
  bool acknowledged() const { return kept_.empty(); }
  // The task of each result that waits for one, in order.
  template <class Visit>
  void each_owed(Visit visit) const {
    for (const Kept& kept : kept_)
      if (kept.is_result) visit(kept.task);
  }

  // There is a new engine: its pipe is in place of the old one's. What was on its way is dropped; `hello` is
  // said, and then everything that is kept.
  void restart(std::optional<ResultRing> ring, const google::protobuf::MessageLite& hello);

  // This worker has a worker file, which it has locked: it can outlive its supervisor. Does not change.
  bool has_file() const { return file_.valid(); }
  // What a new engine would be told is put into the worker file. To be called when the supervisor has gone,
  // and once more at the end, with nothing in between. False: it could not be written, and the reason is on
  // stderr.
  bool write_last_words(const google::protobuf::MessageLite& hello);

  // Everything added would survive this process: it is in the ring, or written.
  bool safe() const { return written_ == bytes_.size(); }
  // The engine has been told of everything.
  bool empty() const { return safe() && unrung_ == 0; }
  std::size_t size() const { return bytes_.size() - written_ + unrung_; }

  enum class Flush { done, would_block, closed };
  // Rings, and writes what the pipe takes. Closed: the engine is gone, and what was left is dropped.
  Flush flush();
  // Waits until all is written; false if the engine is gone.
  bool flush_all();

 private:
  struct Kept {
    std::uint64_t task;
    bool is_result;
    std::string frame;
  };

  bool add_kept(const google::protobuf::MessageLite& message, std::uint64_t task, bool is_result);
  bool add_frame();
  void make_room();

  std::optional<ResultRing> ring_;
  FileDescriptor file_;
  unsigned said_ = 0;  // last words so far
  std::string frame_;
  std::size_t unrung_ = 0;  // bytes in the ring that the engine was not told of
  std::string bytes_;       // for the pipe
  std::size_t written_ = 0;
  bool closed_ = false;  // nobody reads the pipe any more
  bool keeps_ = false;
  std::deque<Kept> kept_;
};

// Says why this worker cannot work, or go on. It exits next.
void add_complaint(Outbox& outbox, std::uint32_t generation, std::string_view why);

}  // namespace poold::worker
