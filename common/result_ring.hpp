// Memory that a worker and the engine share, in which the worker's frames go to the engine: a ring of bytes,
// one writer, one reader.
//
// What is in it outlives the worker. So a worker that has finished one task can begin the next without a
// system call in between, and still the first task without a result is the one that ran when it died. The
// pipe beside it carries the bell that says "look into the ring", and frames that do not fit. The supervisor
// makes the memory, for its own poold-worker only; other workers use the pipe alone.
//
// The reader trusts nothing: sizes are sealed, positions are checked, bytes are copied out before they are
// looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/frame.hpp"
#include "common/seqpacket.hpp"

namespace poold {

// The descriptor in the worker, and the environment variable that is set where it is there.
inline constexpr int result_ring_descriptor = 8;
inline constexpr const char* result_ring_variable = "POOLD_RESULT_RING";

// A new one, sealed; invalid, with errno set, if there is no memory or no descriptor left.
FileDescriptor make_result_ring();

// The mapping, and what both sides know of it.
class ResultRing {
 public:
  // Nothing if this is no ring of ours: not sealed, or of another size.
  static std::optional<ResultRing> map(const FileDescriptor& memory);
  ResultRing(ResultRing&& other) noexcept;
  ResultRing& operator=(ResultRing&& other) noexcept;
  ~ResultRing();

  // The writer's side. False, and nothing is written, if there is no room.
  bool put(std::string_view bytes);
  // The reader has seen everything.
  bool empty() const;

  // The reader's side: appends everything that is there. False if the positions cannot be true.
  bool take(FrameReader& reader);
  // Another process was the reader until now: goes on where that one ended.
  void go_on_reading();

 private:
  struct Head;
  explicit ResultRing(void* memory) : memory_(static_cast<char*>(memory)) {}
  Head& head() const;
  char* bytes() const;

  char* memory_ = nullptr;
  std::uint64_t position_ = 0;  // this side's own, which the other cannot change
};

}  // namespace poold
