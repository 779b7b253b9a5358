// Stream: a FrameStream behind a mutex, one thread that reads it, and a table of what is unfinished.
//
// Who writes: the submitter itself when nothing else is unfinished (a lone task should not wait for a thread
// to wake), else the stream's thread, which takes what has gathered meanwhile in one write.
//
// Who connects again: the thread. While there is no connection, submitters wait, and the thread's own
// callbacks put their submissions into the table, from which they are sent later.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "client/cpp/poold/stream.hpp"
#include "client/cpp/src/frame_stream.hpp"
#include "client/cpp/src/pending_table.hpp"
#include "client/cpp/src/reconnect.hpp"
#include "client/cpp/src/result_reader.hpp"
#include "common/endpoint.hpp"
#include "common/frame_message.hpp"
#include "poold/v1/stream.pb.h"

namespace poold {
namespace {

// Submitters wait while more than this is unsent: the daemon is slower than they are.
constexpr std::size_t unsent_max = 4 * 1024 * 1024;
// How many results are handed out at a time; the table is locked once for all of them.
constexpr std::size_t batch_max = 256;

}  // namespace

class Stream::Inside {
 public:
  explicit Inside(const StreamOptions& options)
      : connection_({client_socket_path(options.socket),
                     options.connect_timeout,
                     options.cancel_on_close,
                     {},
                     options.shared_memory}),
        frames_(std::make_unique<FrameStream>(connection_)),
        outage_(options.reconnect),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!wake_.valid()) throw std::system_error(errno, std::generic_category(), "eventfd");
    results_.resize(batch_max);
    thread_ = std::thread([this] { work(); });
  }

  ~Inside() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake();
    thread_.join();
  }

  std::uint64_t submit(const TaskSpec& task, PendingTable::Receiver receiver) {
    std::unique_lock lock(mutex_);
    if (std::this_thread::get_id() != thread_.get_id())
      room_.wait(lock, [this] { return broken_ || (frames_ && frames_->unsent() <= unsent_max); });
    if (broken_) throw ConnectionLost(broken_code_, broken_message_);
    const bool keep = outage_.allowed() && !task.shared() && (!frames_ || has_key(task.bytes()));
    if (!frames_ && !keep) throw ConnectionLost(Code::unavailable, "there is no connection at the moment");
    const std::uint64_t tag =
        pending_.add(std::move(receiver), keep ? std::string(task.bytes()) : std::string());
    if (!frames_) return tag;
    try {
      frames_->send_submit(tag, task.bytes(), task.shared());
    } catch (...) {
      pending_.take(tag);
      throw;
    }
    after_append(lock);
    return tag;
  }

  void cancel(std::uint64_t tag) {
    std::unique_lock lock(mutex_);
    if (broken_ || !pending_.contains(tag)) return;
    pending_.note_cancel(tag);
    if (!frames_) return;
    frames_->send_cancel(tag);
    after_append(lock);
  }

  void signal(std::uint64_t tag, int signal_number) {
    std::unique_lock lock(mutex_);
    if (broken_ || !frames_ || !pending_.contains(tag)) return;
    frames_->send_signal(tag, signal_number);
    after_append(lock);
  }

  std::size_t pending() const {
    const std::lock_guard lock(mutex_);
    return pending_.size() + delivering_;
  }

  void join() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return pending_.size() + delivering_ == 0; });
  }

 private:
  void wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
  }

  void take_wake() {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = ::read(wake_.get(), &count, sizeof count);
  }

  void after_append(std::unique_lock<std::mutex>& lock) {
    if (pending_.size() == 1) frames_->write_some();
    const bool must_wake = frames_->unsent() > 0 && std::exchange(sleeping_, false);
    lock.unlock();
    if (must_wake) wake();
  }

  // The stream's thread.
  void work() {
    for (;;) {
      if (!sleep()) return fail(Code::unavailable, "the stream was closed");
      try {
        while (receive()) {
        }
      } catch (const ConnectionLost& lost) {
        if (!outage_.allowed() || lost.code() != Code::unavailable) return fail(lost.code(), lost.what());
        if (!connect_again(lost)) return;
      } catch (const Error& error) {
        return fail(error.code(), error.what());
      }
    }
  }

  // False where the stream has ended.
  bool connect_again(const ConnectionLost& lost) {
    const auto now = std::chrono::steady_clock::now();
    if (std::exchange(heard_, false) || now - connected_at_ > Outage::try_timeout) outage_.begin();
    lose_unkept(lost.what() + std::string(unknown_if_accepted));
    std::string reason = lost.what();
    try {
      for (;;) {
        const auto pause = outage_.next_pause();
        if (!pause) throw_stayed_away(outage_, reason);
        if (!rest(*pause)) return fail(Code::unavailable, "the stream was closed"), false;
        try {
          FrameStream::Options options = connection_;
          options.connect_timeout = Outage::try_timeout;
          submit_again(std::make_unique<FrameStream>(options));
          return true;
        } catch (const ConnectionLost& error) {
          reason = error.what();
        } catch (const Unreachable& error) {
          reason = error.what();
        }
      }
    } catch (const Error& error) {
      return fail(error.code(), error.what()), false;
    }
  }

  // Until then; false if the stream is to end.
  bool rest(std::chrono::milliseconds duration) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return false;
    }
    pollfd entry{wake_.get(), POLLIN, 0};
    if (::poll(&entry, 1, static_cast<int>(duration.count())) > 0) take_wake();
    const std::lock_guard lock(mutex_);
    return !stopping_;
  }

  // There is no connection from here on.
  void lose_unkept(const std::string& message) {
    std::vector<PendingTable::Receiver> lost;
    {
      const std::lock_guard lock(mutex_);
      frames_.reset();
      lost = pending_.take_unkept();
      delivering_ += lost.size();
    }
    deliver_lost(lost, Code::unavailable, message);
  }

  // What is in the table may be known to the daemon by its key, or was never sent.
  void submit_again(std::unique_ptr<FrameStream> fresh) {
    const std::lock_guard lock(mutex_);
    frames_ = std::move(fresh);
    connected_at_ = std::chrono::steady_clock::now();
    std::vector<std::uint64_t> once;
    v1::ClientFrame request;
    pending_.each_kept([&](std::uint64_t tag, const PendingTable::Kept& kept) {
      v1::StreamSubmit& submit = *request.mutable_submit();
      submit.set_tag(tag);
      submit.set_take_over(true);
      if (!parse_message(*submit.mutable_task(), kept.spec)) throw ProtocolError("a task cannot be read");
      frames_->send(request);
      if (kept.cancelled) frames_->send_cancel(tag);
      if (submit.task().key().empty()) once.push_back(tag);
    });
    for (const std::uint64_t tag : once) pending_.drop_kept(tag);
    room_.notify_all();
  }

  // Writes what it can and waits for something to do. False when the stream is to end.
  bool sleep() {
    short events = POLLIN;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return false;
      frames_->write_some();  // a daemon that has hung up is noticed by the read
      if (frames_->unsent() > 0) events |= POLLOUT;
      if (frames_->unsent() <= unsent_max / 2) room_.notify_all();
      sleeping_ = true;
    }
    std::array<pollfd, 2> entries{pollfd{frames_->descriptor(), events, 0}, pollfd{wake_.get(), POLLIN, 0}};
    while (::poll(entries.data(), entries.size(), -1) < 0 && errno == EINTR) {
    }
    if (entries[1].revents != 0) take_wake();
    const std::lock_guard lock(mutex_);
    sleeping_ = false;
    return !stopping_;
  }

  // One read and its results. False when nothing is here.
  bool receive() {
    // Reading touches only what submitters do not: the receiving half of frames_.
    const auto read = frames_->read_some();
    std::size_t count = 0;
    while (const auto payload = frames_->next()) {
      heard_ = true;
      const auto kind = read_server_frame(*payload, results_[count]);
      if (kind == ServerFrameKind::error) {
        StreamResult reason = results_[count];
        deliver(count);
        throw ConnectionLost(reason.code, "the daemon closed the stream: " + reason.message);
      }
      if (kind == ServerFrameKind::other) continue;
      frames_->add_memory(*payload, results_[count]);
      if (++count == batch_max) deliver(std::exchange(count, 0));
    }
    deliver(count);
    if (read == FrameStream::Read::closed)
      throw ConnectionLost(Code::unavailable, "the connection to the daemon broke before the task ended");
    return read == FrameStream::Read::some;
  }

  void deliver(std::size_t count) {
    if (count == 0) return;
    receivers_.clear();
    {
      const std::lock_guard lock(mutex_);
      for (std::size_t i = 0; i < count; ++i) receivers_.push_back(pending_.take(results_[i].tag));
      delivering_ += count;
      frames_->write_some();  // what gathered while these were read
    }
    for (std::size_t i = 0; i < count; ++i) PendingTable::deliver(receivers_[i], results_[i]);
    const std::lock_guard lock(mutex_);
    delivering_ -= count;
    if (pending_.size() + delivering_ == 0) idle_.notify_all();
  }

  void fail(Code code, const std::string& message) {
    std::vector<PendingTable::Receiver> lost;
    {
      const std::lock_guard lock(mutex_);
      broken_ = true;
      broken_code_ = code;
      broken_message_ = message;
      lost = pending_.take_all();
      delivering_ += lost.size();
      room_.notify_all();
    }
    deliver_lost(lost, code, message);
  }

  void deliver_lost(std::vector<PendingTable::Receiver>& lost, Code code, const std::string& message) {
    StreamResult result;
    result.code = code;
    result.message = message;
    for (auto& receiver : lost) PendingTable::deliver_lost(receiver, result);
    const std::lock_guard lock(mutex_);
    delivering_ -= lost.size();
    if (pending_.size() + delivering_ == 0) idle_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable room_;  // unsent bytes have gone, or the stream broke
  std::condition_variable idle_;  // nothing is unfinished
  const FrameStream::Options connection_;
  // None while there is no connection. Its sending half is under the mutex, as is the pointer; its receiving
  // half, and setting the pointer, are the thread's alone.
  std::unique_ptr<FrameStream> frames_;
  Outage outage_;      // the thread's alone, but for its limit
  bool heard_ = true;  // the thread's alone: something has come over this connection
  std::chrono::steady_clock::time_point connected_at_{};  // the thread's alone
  PendingTable pending_;
  std::size_t delivering_ = 0;  // taken from the table, not yet handed to their receivers
  bool sleeping_ = false;       // the thread is in poll, or about to be
  bool stopping_ = false;
  bool broken_ = false;
  Code broken_code_ = Code::ok;
  std::string broken_message_;
  FileDescriptor wake_;
  std::vector<StreamResult> results_;              // the thread's alone, reused
  std::vector<PendingTable::Receiver> receivers_;  // the thread's alone, reused
  std::thread thread_;
};

Stream::Stream(const StreamOptions& options) : inside_(std::make_unique<Inside>(options)) {}
Stream::~Stream() = default;

std::future<Outcome> Stream::submit(const TaskSpec& task, std::uint64_t* tag) {
  std::promise<Outcome> promise;
  std::future<Outcome> future = promise.get_future();
  const std::uint64_t chosen = inside_->submit(task, std::move(promise));
  if (tag) *tag = chosen;
  return future;
}

std::uint64_t Stream::submit(const TaskSpec& task, Callback callback) {
  return inside_->submit(task, std::move(callback));
}

void Stream::cancel(std::uint64_t tag) { inside_->cancel(tag); }
void Stream::signal(std::uint64_t tag, int signal_number) { inside_->signal(tag, signal_number); }
std::size_t Stream::pending() const { return inside_->pending(); }
void Stream::join() { inside_->join(); }

}  // namespace poold
