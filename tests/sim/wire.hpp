// What the engine and a worker of a simulation say to each other, as bytes: the real envelope
// (common/frame.hpp) around the fields of poold.v1.ToWorker and FromWorker, and a pipe that tears and joins
// them as pipes do.
//
// Only the fields that the core looks at are written. What generated messages make of other bytes is the
// fuzzers' business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/frame.hpp"
#include "daemon/core/types.hpp"
#include "tests/sim/faults.hpp"
#include "tests/sim/random.hpp"

namespace poold::sim {

// The numbers of the frames' fields in worker.proto.
namespace to_worker {
inline constexpr int task = 2, cancel = 3, give_back = 5, ack = 6, stop = 7;
}
namespace from_worker {
inline constexpr int hello = 1, result = 2, output = 4, returned = 5;
}

struct Message {
  int frame = 0;
  std::vector<core::Sequence> tasks;
  std::uint32_t attempt = 0;
  bool flag = false;  // of a cancel: its time is over; of a hello: again
  core::OutcomeKind kind = core::OutcomeKind::unspecified;
  int exit_code = 0;

  core::Sequence task() const { return tasks.empty() ? 0 : tasks.front(); }
};

// One direction of one worker.
class Pipe {
 public:
  void write(const Message& message);
  // Bytes that are no frame.
  void write_garbage() { bytes_ += "\x7fgarbage"; }
  bool empty() const { return bytes_.empty(); }

  // Reads so many of the bytes, in pieces cut anywhere, and appends the frames that have become whole. False
  // once something came that is no frame; nothing is read from then on.
  bool read(std::size_t count, Random& random, FaultCounts& faults, std::vector<Message>& whole);
  bool read_all(Random& random, FaultCounts& faults, std::vector<Message>& whole) {
    return read(bytes_.size(), random, faults, whole);
  }
  // As much as chance wants.
  bool read_some(Random& random, FaultCounts& faults, std::vector<Message>& whole) {
    return read(random.below(bytes_.size() + 1), random, faults, whole);
  }
  // The middle of a frame was reached, or not even its beginning.
  bool torn() const { return reader_.partial(); }

 private:
  std::string bytes_;  // written and not read
  FrameReader reader_;
  bool broken_ = false;
};

}  // namespace poold::sim
