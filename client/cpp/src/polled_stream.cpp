// PolledStream: FrameStream, and the results in it.
#include <poll.h>

#include "client/cpp/poold/stream.hpp"
#include "client/cpp/src/frame_stream.hpp"
#include "client/cpp/src/result_reader.hpp"
#include "common/endpoint.hpp"

namespace poold {
namespace {

// Beyond this much unsent, submit() offers it to the kernel, so that a caller who submits a million before
// its first flush() does not hold them all twice.
constexpr std::size_t unsent_kept = 256 * 1024;

}  // namespace

struct PolledStream::Inside {
  explicit Inside(const StreamOptions& options)
      : frames({client_socket_path(options.socket),
                options.connect_timeout,
                options.cancel_on_close,
                {},
                options.shared_memory}) {}

  // The next result among the bytes that are here.
  bool take_result() {
    while (const auto payload = frames.next()) {
      switch (read_server_frame(*payload, result)) {
        case ServerFrameKind::result:
        case ServerFrameKind::rejected:
          frames.add_memory(*payload, result);
          --pending;
          return true;
        case ServerFrameKind::error:
          throw ConnectionLost(result.code, "the daemon closed the stream: " + result.message);
        case ServerFrameKind::other:
          break;
      }
    }
    return false;
  }

  FrameStream frames;
  StreamResult result;
  std::size_t pending = 0;
};

PolledStream::PolledStream(const StreamOptions& options) : inside_(std::make_unique<Inside>(options)) {}
PolledStream::~PolledStream() = default;
PolledStream::PolledStream(PolledStream&&) noexcept = default;
PolledStream& PolledStream::operator=(PolledStream&&) noexcept = default;

void PolledStream::submit(std::uint64_t tag, const TaskSpec& task) {
  inside_->frames.send_submit(tag, task.bytes(), task.shared());
  ++inside_->pending;
  if (inside_->frames.unsent() > unsent_kept) inside_->frames.write_some();
}

void PolledStream::cancel(std::uint64_t tag) { inside_->frames.send_cancel(tag); }
void PolledStream::signal(std::uint64_t tag, int signal_number) {
  inside_->frames.send_signal(tag, signal_number);
}
void PolledStream::flush() { inside_->frames.flush(); }
std::size_t PolledStream::pending() const { return inside_->pending; }
int PolledStream::descriptor() const { return inside_->frames.descriptor(); }

const StreamResult* PolledStream::next_result(std::chrono::milliseconds timeout) {
  Inside& in = *inside_;
  if (in.take_result()) return &in.result;
  const Deadline deadline = deadline_after(timeout);
  for (;;) {
    in.frames.write_some();  // a daemon that has hung up is noticed by the read
    const auto read = in.frames.read_some();
    if (read != FrameStream::Read::nothing && in.take_result()) return &in.result;
    if (read == FrameStream::Read::closed)
      throw ConnectionLost(Code::unavailable, "the connection to the daemon broke with " +
                                                  std::to_string(in.pending) + " tasks unfinished");
    if (read == FrameStream::Read::some) continue;
    const short events = in.frames.unsent() > 0 ? POLLIN | POLLOUT : POLLIN;
    if (wait_for(in.frames.descriptor(), events, deadline) == 0) return nullptr;
  }
}

}  // namespace poold
