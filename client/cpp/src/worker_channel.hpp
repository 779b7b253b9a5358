// What every worker has between itself and poold: the descriptors it was started with, its name, and the way
// results go out. Shared by the function loop here and by poold-worker's command runner.
#pragma once

#include <google/protobuf/message_lite.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

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

// Frames on their way to the engine.
class Outbox {
 public:
  // False, and nothing is added, if the message is longer than a frame may be.
  bool add(const google::protobuf::MessageLite& message);

  bool empty() const { return written_ == bytes_.size(); }
  std::size_t size() const { return bytes_.size() - written_; }

  enum class Flush { done, would_block, closed };
  // Writes what the pipe takes. Closed: the engine is gone, and what was left is dropped.
  Flush flush();
  // Waits until all is written; false if the engine is gone.
  bool flush_all();

 private:
  std::string bytes_;
  std::size_t written_ = 0;
};

}  // namespace poold::worker
