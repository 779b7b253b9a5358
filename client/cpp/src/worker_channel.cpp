#include "client/cpp/src/worker_channel.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "client/cpp/src/utf8.hpp"
#include "common/frame_message.hpp"
#include "poold/v1/worker.pb.h"

namespace poold::worker {
namespace {

// After a burst of large results the memory is given back.
constexpr std::size_t kept_capacity_max = 1024 * 1024;

bool read_number(std::string_view text, std::uint32_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

std::optional<Identity> parse_identity(std::string_view text) {
  const std::size_t second = text.rfind('/');
  if (second == std::string_view::npos || second == 0) return std::nullopt;
  const std::size_t first = text.rfind('/', second - 1);
  if (first == std::string_view::npos) return std::nullopt;
  Identity identity;
  identity.pool = text.substr(0, first);
  if (!read_number(text.substr(first + 1, second - first - 1), identity.slot)) return std::nullopt;
  if (!read_number(text.substr(second + 1), identity.generation)) return std::nullopt;
  return identity;
}

// The lock says for as long as this process lives that it does. Invalid if there is no file, or it is
// another's.
FileDescriptor take_worker_file() {
  if (!std::getenv(worker_file_variable)) return {};
  // Not for what this worker runs.
  ::unsetenv(worker_file_variable);
  FileDescriptor file(worker_file_descriptor);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool taken =
      ::fcntl(file.get(), F_SETFD, FD_CLOEXEC) == 0 && ::fcntl(file.get(), F_SETLK, &lock) == 0;
  return taken ? std::move(file) : FileDescriptor();
}

}  // namespace

std::optional<Identity> take_channel() {
  const char* name = std::getenv("POOLD_WORKER");
  auto identity = parse_identity(name ? name : "");
  if (!identity) {
    std::fprintf(stderr, "POOLD_WORKER is not \"pool/slot/generation\": workers are started by poold\n");
    return std::nullopt;
  }
  for (const int fd : {task_pipe, result_pipe, lifeline}) {
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags < 0 || ::fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0) {
      std::fprintf(stderr, "descriptor %d is not open: workers are started by poold\n", fd);
      return std::nullopt;
    }
  }
  const int flags = ::fcntl(result_pipe, F_GETFL);
  if (flags < 0 || ::fcntl(result_pipe, F_SETFL, flags | O_NONBLOCK) < 0) {
    std::perror("descriptor 4");
    return std::nullopt;
  }
  return identity;
}

LifelineNews read_lifeline(std::optional<ResultRing>& ring) {
  LifelineNews news = LifelineNews::nothing;
  for (;;) {
    Datagram datagram;
    switch (receive_datagram(lifeline, datagram)) {
      case Transfer::would_block:
        return news;
      case Transfer::closed:
      case Transfer::failed:
        return LifelineNews::ended;
      case Transfer::done:
        break;
    }
    // Of several, the newest counts: what was sent through the others is known to have been lost.
    auto& given = datagram.descriptors;
    if (datagram.bytes != "pipes" || given.size() < 2) continue;
    ::dup3(given[0].get(), task_pipe, O_CLOEXEC);
    ::dup3(given[1].get(), result_pipe, O_CLOEXEC);
    const int flags = ::fcntl(result_pipe, F_GETFL);
    ::fcntl(result_pipe, F_SETFL, flags | O_NONBLOCK);
    ring = given.size() > 2 ? ResultRing::map(given[2]) : std::nullopt;
    news = LifelineNews::new_pipes;
  }
}

Outbox::Outbox() : file_(take_worker_file()) {
  if (!std::getenv(result_ring_variable)) return;
  // Not for what this worker runs.
  ::unsetenv(result_ring_variable);
  ring_ = ResultRing::map(FileDescriptor(result_ring_descriptor));
}

bool Outbox::add(const google::protobuf::MessageLite& message) {
  if (!ring_ || !safe()) {
    make_room();
    return append_message(bytes_, message);
  }
  frame_.clear();
  return append_message(frame_, message) && add_frame();
}

bool Outbox::add_result(const google::protobuf::MessageLite& message, std::uint64_t task) {
  return add_kept(message, task, true);
}

bool Outbox::add_before_result(const google::protobuf::MessageLite& message, std::uint64_t task) {
  return add_kept(message, task, false);
}

bool Outbox::add_kept(const google::protobuf::MessageLite& message, std::uint64_t task, bool is_result) {
  if (!keeps_) return add(message);
  frame_.clear();
  if (!append_message(frame_, message)) return false;
  kept_.push_back({task, is_result, frame_});
  return add_frame();
}

bool Outbox::add_frame() {
  if (ring_ && safe() && ring_->put(frame_)) {
    unrung_ += frame_.size();
    return true;
  }
  make_room();
  bytes_ += frame_;
  return true;
}

void Outbox::acknowledge(std::uint64_t task) {
  // Mostly in the order in which they were given, so that this looks at the first only. What belongs to the
  // task's next attempt stays.
  const auto result =
      std::ranges::find_if(kept_, [&](const Kept& kept) { return kept.is_result && kept.task == task; });
  if (result == kept_.end()) return;
  const auto end = std::remove_if(kept_.begin(), result, [&](const Kept& kept) { return kept.task == task; });
  kept_.erase(end, std::next(result));
}

void Outbox::restart(std::optional<ResultRing> ring, const google::protobuf::MessageLite& hello) {
  ring_ = std::move(ring);
  unrung_ = written_ = 0;
  bytes_.clear();
  closed_ = false;
  add(hello);
  for (const Kept& kept : kept_) {
    frame_ = kept.frame;
    add_frame();
  }
}

bool Outbox::write_last_words(const google::protobuf::MessageLite& hello) {
  std::string words;
  append_message(words, hello);
  for (const Kept& kept : kept_) words += kept.frame;
  if (poold::write_last_words(file_.get(), said_++, words)) return true;
  std::perror("worker: what it did is lost: its worker file");
  return false;
}

void Outbox::make_room() {
  if (!safe()) return;
  bytes_.clear();
  written_ = 0;
  if (bytes_.capacity() > kept_capacity_max) bytes_.shrink_to_fit();
}

Outbox::Flush Outbox::flush() {
  if (closed_) return Flush::closed;
  if (unrung_ > 0) {
    v1::FromWorker bell;
    bell.mutable_bell();
    make_room();
    append_message(bytes_, bell);
    unrung_ = 0;
  }
  while (!safe()) {
    const ssize_t n = ::write(result_pipe, bytes_.data() + written_, bytes_.size() - written_);
    if (n >= 0) {
      written_ += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      return Flush::would_block;
    } else if (errno != EINTR) {
      written_ = bytes_.size();
      closed_ = true;
      return Flush::closed;
    }
  }
  return Flush::done;
}

bool Outbox::flush_all() {
  for (;;) {
    switch (flush()) {
      case Flush::done:
        return true;
      case Flush::closed:
        return false;
      case Flush::would_block:
        break;
    }
    pollfd pipe{result_pipe, POLLOUT, 0};
    if (::poll(&pipe, 1, -1) < 0 && errno != EINTR) return false;
  }
}

void add_complaint(Outbox& outbox, std::uint32_t generation, std::string_view why) {
  // What replaces a broken byte is three bytes long.
  constexpr std::size_t shown_max = 4096 / 3;
  v1::FromWorker message;
  auto& hello = *message.mutable_hello();
  hello.add_versions(protocol_version);
  hello.set_generation(generation);
  hello.set_error(to_utf8(why.substr(0, shown_max)));
  outbox.add(message);
}

}  // namespace poold::worker
