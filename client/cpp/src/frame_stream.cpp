#include "client/cpp/src/frame_stream.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <variant>

#include "client/cpp/poold/error.hpp"
#include "client/cpp/poold/stream.hpp"
#include "client/cpp/src/connection.hpp"
#include "client/cpp/src/shared_payload.hpp"
#include "common/frame_message.hpp"
#include "common/memory_socket.hpp"
#include "common/version.hpp"
#include "common/wire.hpp"
#include "poold/v1/stream.pb.h"

namespace poold {
namespace {

constexpr std::uint32_t stream_version = 1;
// An outgoing buffer that grew beyond this is given back once it is sent.
constexpr std::size_t kept_outgoing_max = 1024 * 1024;

constexpr std::string_view upgrade_request =
    "GET /v1/stream HTTP/1.1\r\nHost: poold\r\nUser-Agent: libpoold/" POOLD_VERSION
    "\r\nConnection: Upgrade\r\nUpgrade: poold-frames/1\r\n\r\n";

[[noreturn]] void throw_closed() {
  throw ConnectionLost(Code::unavailable, "the daemon closed the stream before it began");
}

}  // namespace

FrameStream::FrameStream(const Options& options)
    : socket_(connect_to(options.socket_path, options.connect_timeout)) {
  const Deadline deadline = deadline_after(options.connect_timeout);
  upgrade(deadline);
  exchange_hellos(options, deadline);
}

void FrameStream::upgrade(const Deadline& deadline) {
  outgoing_ = upgrade_request;
  flush();
  HttpReader answer;
  std::array<char, 4096> space;
  while (!answer.complete()) {
    const std::size_t n = receive_some(socket_.get(), space, deadline);
    if (n == 0 && !answer.finish()) throw_closed();
    const std::size_t used = answer.feed({space.data(), n});
    // What follows the answer are frames already.
    if (answer.complete() && answer.status() == 101) reader_.feed({space.data() + used, n - used});
  }
  if (answer.status() != 101) throw_answer(answer.status(), answer.body());
}

void FrameStream::exchange_hellos(const Options& options, const Deadline& deadline) {
  v1::ClientFrame frame;
  v1::StreamHello& hello = *frame.mutable_hello();
  hello.add_versions(stream_version);
  hello.set_cancel_on_close(options.cancel_on_close);
  hello.set_shared_memory(options.shared_memory);
  hello.set_agent(options.agent.empty() ? "libpoold/" POOLD_VERSION : options.agent);
  send(frame);
  flush();
  for (;;) {
    if (const auto payload = next()) {
      v1::ServerFrame answer;
      if (!parse_message(answer, *payload)) throw ProtocolError("the daemon's first frame cannot be read");
      if (answer.has_error())
        throw Error(parse_code(answer.error().code()).value_or(Code::unknown), answer.error().message());
      const auto& versions = answer.hello().versions();
      if (!answer.has_hello() ||
          std::find(versions.begin(), versions.end(), stream_version) == versions.end())
        throw ProtocolError("the daemon does not speak version 1 of the stream protocol");
      shares_ = answer.hello().shared_memory();
      return;
    }
    if (closed_) throw_closed();
    if (read_some() == Read::nothing && wait_for(socket_.get(), POLLIN, deadline) == 0)
      throw ConnectionLost(Code::deadline_exceeded, "the daemon did not answer in time");
  }
}

void FrameStream::send(const google::protobuf::MessageLite& client_frame) {
  if (!append_message(outgoing_, client_frame))
    throw Error(Code::resource_exhausted, "longer than a frame may be (16 MiB)");
}

// ClientFrame{submit{tag, task}} by hand: the task is encoded already.
void FrameStream::send_submit(std::uint64_t tag, std::string_view task_spec,
                              const std::optional<SharedPayload>& shared) {
  using v1::ClientFrame, v1::StreamSubmit;
  if (shared && !shares_)
    throw Error(Code::failed_precondition,
                "this stream carries no shared memory (StreamOptions::shared_memory, and a daemon that can)");
  const std::uint64_t at = dropped_ + outgoing_.size();
  const std::size_t size = wire::varint_field_size(tag) + wire::bytes_field_size(task_spec.size());
  char* out = append_envelope(outgoing_, wire::bytes_field_size(size));
  if (!out) throw Error(Code::resource_exhausted, "longer than a frame may be (16 MiB)");
  out = wire::put_bytes_head(out, ClientFrame::kSubmitFieldNumber, size);
  out = wire::put_varint_field(out, StreamSubmit::kTagFieldNumber, tag);
  wire::put_bytes_field(out, StreamSubmit::kTaskFieldNumber, task_spec);
  if (shared) beside_.push_back({at, *shared});
}

void FrameStream::send_cancel(std::uint64_t tag) {
  v1::ClientFrame frame;
  frame.mutable_cancel()->set_tag(tag);
  send(frame);
}

void FrameStream::send_signal(std::uint64_t tag, int signal_number) {
  v1::ClientFrame frame;
  frame.mutable_signal()->set_tag(tag);
  frame.mutable_signal()->set_signal(static_cast<std::uint32_t>(signal_number));
  send(frame);
}

bool FrameStream::write_some() {
  if (unsent() == 0) return true;
  std::string_view bytes = std::string_view(outgoing_).substr(sent_);
  if (beside_.empty()) {
    const auto n = try_send(socket_.get(), bytes);
    if (n) drop(*n);
    return n.has_value();
  }
  // Up to the next byte that carries a descriptor; or from there on, with it.
  const bool now = beside_.front().at == dropped_ + sent_;
  const std::size_t next = now ? 1 : 0;
  if (next < beside_.size()) bytes = bytes.substr(0, beside_[next].at - dropped_ - sent_);
  const auto n =
      now ? try_send_with(socket_.get(), bytes, beside_.front().memory.inside().memory.descriptor().get())
          : try_send(socket_.get(), bytes);
  if (!n) return false;
  if (now && *n > 0) beside_.pop_front();
  drop(*n);
  // A part of it stays for the next call only if the kernel took less than it was offered.
  return *n < bytes.size() || write_some();
}

void FrameStream::drop(std::size_t count) {
  sent_ += count;
  if (sent_ == outgoing_.size()) {
    if (outgoing_.capacity() > kept_outgoing_max) outgoing_ = std::string();
    outgoing_.clear();
  } else if (sent_ > outgoing_.size() / 2) {
    outgoing_.erase(0, sent_);
  } else {
    return;
  }
  dropped_ += std::exchange(sent_, 0);
}

void FrameStream::flush() {
  while (unsent() > 0) {
    const std::size_t before = unsent();
    if (!write_some()) {
      // The daemon hung up; the reason may be among what is still to be read.
      while (read_some() == Read::some) {
      }
      closed_ = true;
      return;
    }
    if (unsent() < before) continue;
    const short events = wait_for(socket_.get(), POLLIN | POLLOUT, {});
    if ((events & ~POLLOUT) != 0 && read_some() == Read::closed) return;
  }
}

FrameStream::Read FrameStream::read_some() {
  if (closed_) return Read::closed;
  const auto n = shares_ ? try_receive_with(socket_.get(), reader_.prepare(), received_)
                         : try_receive(socket_.get(), reader_.prepare());
  if (!n) return Read::nothing;
  if (*n == 0) {
    closed_ = true;
    return Read::closed;
  }
  reader_.commit(*n);
  return Read::some;
}

void FrameStream::add_memory(std::string_view payload, StreamResult& result) {
  if (received_.empty() || !result.outcome.payload) return;
  v1::ServerFrame frame;
  if (!parse_message(frame, payload)) throw ProtocolError("the daemon sent a frame that cannot be read");
  const std::uint64_t size = frame.result().outcome().payload().shared_size();
  if (size == 0) return;
  auto adopted = SealedMemory::adopt(std::move(received_.front()), size, shared_size_max);
  received_.pop_front();
  if (const auto* complaint = std::get_if<std::string>(&adopted))
    throw ProtocolError("a result: " + *complaint);
  result.outcome.payload->shared =
      SharedPayload(std::make_shared<SharedPayload::Inside>(std::move(std::get<SealedMemory>(adopted))));
}

std::optional<std::string_view> FrameStream::next() {
  const FrameResult result = reader_.next();
  if (const auto* frame = std::get_if<Frame>(&result)) return frame->payload;
  if (const auto* error = std::get_if<FrameError>(&result))
    throw ProtocolError("the daemon sent a broken frame: " + std::string(describe(*error)));
  return {};
}

}  // namespace poold
