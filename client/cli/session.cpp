#include "client/cli/session.hpp"

#include <poll.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "client/cpp/poold/error.hpp"
#include "common/frame_message.hpp"

namespace poold::cli {
namespace {

Code code_named(const std::string& name) { return parse_code(name).value_or(Code::unknown); }

template <std::size_t count>
void poll_for_ever(std::array<pollfd, count>& entries) {
  while (::poll(entries.data(), entries.size(), -1) < 0 && errno == EINTR) {
  }
}

}  // namespace

Session::Session(FrameStream::Options stream, Options options)
    : options_(options),
      frames_(stream),
      printer_([this](int fd) { return wait_for_room(fd); }, options.raw, options.stdout_target) {}

Session::End Session::follow(const v1::ClientFrame& request) {
  frames_.send(request);
  try {
    read_until_result();
    if (!end_.reader_gone && !printer_.finish()) end_.reader_gone = true;
  } catch (const Left&) {
    end_.ended = false;
  }
  return end_;
}

void Session::read_until_result() {
  for (;;) {
    while (const auto payload = frames_.next())
      if (take_frame(*payload)) return;
    frames_.write_some();  // a daemon that has hung up is noticed by the read
    const auto read = frames_.read_some();
    if (read == FrameStream::Read::nothing) wait_for_frames();
    if (read == FrameStream::Read::closed)
      throw ConnectionLost(Code::unavailable, "the connection to the daemon broke before the task ended");
  }
}

// True for the last one.
bool Session::take_frame(std::string_view payload) {
  if (!parse_message(frame_, payload)) throw ProtocolError("the daemon sent a frame that cannot be read");
  switch (frame_.frame_case()) {
    case v1::ServerFrame::kOutput:
      if (!end_.reader_gone && !printer_.print(frame_.output().chunk())) {
        end_.reader_gone = true;
        if (!options_.cancel_on_signal) throw Left();
        cancel();
      }
      return false;
    case v1::ServerFrame::kAccepted:
      end_.id = frame_.accepted().id();
      return false;
    case v1::ServerFrame::kResult:
      end_.result = std::move(*frame_.mutable_result());
      end_.ended = true;
      return true;
    case v1::ServerFrame::kRejected:
      throw Error(code_named(frame_.rejected().code()), frame_.rejected().message());
    case v1::ServerFrame::kError:
      throw ConnectionLost(code_named(frame_.error().code()), frame_.error().message());
    case v1::ServerFrame::kStarted:
      started_ = true;
      return false;
    case v1::ServerFrame::kHello:
    case v1::ServerFrame::kProgress:
    case v1::ServerFrame::FRAME_NOT_SET:
      return false;
  }
  return false;  // of a newer version
}

void Session::wait_for_frames() {
  const short events = frames_.unsent() > 0 ? POLLIN | POLLOUT : POLLIN;
  std::array<pollfd, 2> entries{pollfd{frames_.descriptor(), events, 0},
                                pollfd{signals_.descriptor(), POLLIN, 0}};
  poll_for_ever(entries);
  if (entries[1].revents != 0) take_signal();
}

bool Session::wait_for_room(int fd) {
  for (;;) {
    std::array<pollfd, 2> entries{pollfd{fd, POLLOUT, 0}, pollfd{signals_.descriptor(), POLLIN, 0}};
    poll_for_ever(entries);
    if (entries[1].revents != 0) take_signal();
    if (entries[0].revents != 0) return true;  // an error is told by the write
  }
}

// A first Ctrl-C goes to the command that runs, as it would from a shell, and is its to answer; the next one
// asks the task to end, whatever it is; the one after that no longer waits for it.
void Session::take_signal() {
  const int number = signals_.take();
  if (number == 0) return;
  const bool forward =
      options_.forward_interrupt && number == SIGINT && started_ && !std::exchange(interrupted_, true);
  if (forward) {
    frames_.send_signal(tag, number);
    frames_.write_some();
    return;
  }
  const bool first = std::exchange(end_.signal, number) == 0;
  if (!options_.cancel_on_signal || !first) throw Left();
  cancel();
}

void Session::cancel() {
  frames_.send_cancel(tag);
  frames_.write_some();
}

}  // namespace poold::cli
