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
      stream_(std::move(stream)),
      reconnection_(options.reconnect),
      printer_([this](int fd) { return wait_for_room(fd); }, options.raw, options.stdout_target) {}

Session::End Session::follow(const v1::ClientFrame& request) {
  request_ = request;
  if (request_.has_follow()) end_.id = request_.follow().id();
  try {
    connect_first();
    read_until_result();
    if (!end_.reader_gone && !printer_.finish()) end_.reader_gone = true;
  } catch (const Left&) {
    end_.ended = false;
  }
  return end_;
}

// No daemon at all is told at once. One that dies before it has said hello has not been asked for anything.
void Session::connect_first() {
  try {
    frames_ = std::make_unique<FrameStream>(stream_);
    frames_->send(request_);
  } catch (const ConnectionLost& lost) {
    connect_again(lost);
  }
}

void Session::read_until_result() {
  while (!read_until_lost())
    connect_again(
        ConnectionLost(Code::unavailable, "the connection to the daemon broke before the task ended"));
}

// False if the connection broke first.
bool Session::read_until_lost() {
  for (;;) {
    while (const auto payload = frames_->next())
      if (take_frame(*payload)) return true;
    frames_->write_some();  // a daemon that has hung up is noticed by the read
    const auto read = frames_->read_some();
    if (read == FrameStream::Read::nothing) wait_for_frames();
    if (read == FrameStream::Read::closed) return false;
  }
}

// What to ask on another connection: a task whose id is known is followed, one that was not asked for yet or
// has a key is submitted again.
v1::ClientFrame Session::request_again() const {
  if (end_.id.empty()) return request_;
  v1::ClientFrame request;
  v1::StreamFollow& follow = *request.mutable_follow();
  if (request_.has_follow()) {
    follow = request_.follow();
  } else {
    follow.set_want_started(request_.submit().want_started());
    follow.set_want_output(request_.submit().want_output());
    follow.set_take_over(stream_.cancel_on_close);
  }
  follow.set_tag(tag);
  follow.set_id(end_.id);
  if (attempt_ != 0) {
    follow.set_attempt(attempt_);
    follow.set_offset(offset_);
  }
  return request;
}

void Session::connect_again(const ConnectionLost& lost) {
  const bool asked = frames_ != nullptr;
  frames_.reset();
  if (!reconnection_.allowed() || lost.code() != Code::unavailable) throw lost;
  if (asked && end_.id.empty() && request_.submit().task().key().empty())
    throw ConnectionLost(
        Code::unavailable,
        "the connection to the daemon broke before it answered: whether the task was accepted is "
        "not known, and without --key it cannot be submitted again safely");
  reconnection_.lost();
  for (std::string reason = lost.what();;) {
    const auto wait = reconnection_.next_pause();
    if (!wait) throw Unreachable(Code::unavailable, reconnection_.failure(end_.id, reason));
    pause(*wait);
    try {
      FrameStream::Options stream = stream_;
      stream.connect_timeout = Reconnection::try_timeout;
      frames_ = std::make_unique<FrameStream>(stream);
      break;
    } catch (const ConnectionLost& error) {
      reason = error.what();
    } catch (const Unreachable& error) {
      reason = error.what();
    }
  }
  again_ = asked;
  frames_->send(request_again());
  if (end_.signal != 0 || end_.reader_gone) cancel();  // may have been lost with the connection
}

// Until then, or until a signal came.
void Session::pause(std::chrono::milliseconds duration) {
  if (wait_for(signals_.descriptor(), POLLIN, deadline_after(duration)) != 0) take_signal();
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
      attempt_ = frame_.output().attempt();
      offset_ = frame_.output().next_offset();
      return false;
    case v1::ServerFrame::kAccepted:
      end_.id = frame_.accepted().id();
      return false;
    case v1::ServerFrame::kResult:
      end_.result = std::move(*frame_.mutable_result());
      end_.ended = true;
      return true;
    case v1::ServerFrame::kRejected:
      if (again_ && !end_.id.empty() && code_named(frame_.rejected().code()) == Code::not_found)
        throw Error(Code::not_found, Reconnection::forgotten(end_.id));
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
  const short events = frames_->unsent() > 0 ? POLLIN | POLLOUT : POLLIN;
  std::array<pollfd, 2> entries{pollfd{frames_->descriptor(), events, 0},
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
  const bool forward = frames_ && options_.forward_interrupt && number == SIGINT && started_ &&
                       !std::exchange(interrupted_, true);
  if (forward) {
    frames_->send_signal(tag, number);
    frames_->write_some();
    return;
  }
  const bool first = std::exchange(end_.signal, number) == 0;
  if (!options_.cancel_on_signal || !first) throw Left();
  cancel();
}

void Session::cancel() {
  if (!frames_) return;  // it is sent on the next connection
  frames_->send_cancel(tag);
  frames_->write_some();
}

}  // namespace poold::cli
