// Streams: many tasks in flight over one connection.
//
//   poold::Stream stream;  // any thread may submit; results come as futures or callbacks
//   auto sum = stream.submit(poold::Function{"add", {1, 2}}, {.pool = "math"});
//   sum.get().value.as_integer();
//
// PolledStream does without threads and futures: its owner submits, flushes and takes results. It is the one
// for a million tasks a second.
//
// When its connection breaks, a Stream connects again for as long as `reconnect` says, and submissions wait
// meanwhile. Unfinished tasks with a key are submitted again, and so found again; the others fail with
// ConnectionLost, since nobody knows whether they were accepted. (In a pool with durability: memory a key is
// forgotten with its engine, and the task runs again.) A PolledStream does not reconnect: everything
// unfinished is lost to it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>

#include "error.hpp"
#include "task.hpp"

namespace poold {

struct StreamOptions {
  std::string socket;  // as ClientOptions::socket
  std::chrono::milliseconds connect_timeout{10'000};
  bool cancel_on_close = false;  // unfinished tasks are cancelled when the stream closes, however it closes
  // A Stream's: how long the daemon may stay away once it is lost. 0: a lost connection is the stream's end.
  std::chrono::milliseconds reconnect{30'000};
  // Payloads may be SharedPayloads; and results are, above 256 KiB, from pools that share memory.
  bool shared_memory = false;
};

// What became of one submission.
struct StreamResult {
  std::uint64_t tag = 0;
  Code code = Code::ok;  // other than ok: refused, or lost with the connection; `message` says why, and there
                         // is no outcome
  std::string message;
  std::uint32_t attempt = 0;  // the last one
  Outcome outcome;

  // The outcome, or the refusal as an exception.
  const Outcome& get() const {
    if (code != Code::ok) throw Error(code, message);
    return outcome;
  }
};

// All members may be called from any thread.
class Stream {
 public:
  // Runs on the stream's own thread, so it must not block, throw, or destroy the stream; it may submit.
  using Callback = std::function<void(const StreamResult&)>;

  explicit Stream(const StreamOptions& options = {});
  // Unfinished tasks' futures and callbacks get their ConnectionLost before this returns.
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Blocks while more than 4 MiB of submissions wait to be sent, or there is no connection (not on the
  // stream's own thread). Throws ConnectionLost if the stream has broken for good. `tag`, if given, receives
  // what cancel() and signal() take.
  std::future<Outcome> submit(const TaskSpec& task, std::uint64_t* tag = nullptr);
  std::future<Outcome> submit(const Command& command, const SubmitOptions& options = {}) {
    return submit(TaskSpec(command, options));
  }
  std::future<Outcome> submit(const Function& function, const SubmitOptions& options = {}) {
    return submit(TaskSpec(function, options));
  }
  // Returns the tag.
  std::uint64_t submit(const TaskSpec& task, Callback callback);

  // About an unfinished task; a tag that has its result is ignored.
  void cancel(std::uint64_t tag);
  void signal(std::uint64_t tag, int signal_number);

  // How many submissions have no result yet.
  std::size_t pending() const;
  // Blocks until there is none. Not on the stream's own thread.
  void join();

 private:
  class Inside;
  std::unique_ptr<Inside> inside_;
};

// For one thread. Nothing is written before flush() or next_result(), so submissions travel together; while a
// write would block, results are read, so that two full socket buffers cannot lock each other.
class PolledStream {
 public:
  explicit PolledStream(const StreamOptions& options = {});
  ~PolledStream();
  PolledStream(PolledStream&&) noexcept;
  PolledStream& operator=(PolledStream&&) noexcept;

  // The caller chooses the tag, unique among those without a result.
  void submit(std::uint64_t tag, const TaskSpec& task);
  void cancel(std::uint64_t tag);
  void signal(std::uint64_t tag, int signal_number);

  // Sends everything submitted so far.
  void flush();

  // The next result, valid until the next call; none if there is none within `timeout` (0: only what is here
  // already; negative: no limit). Sends what waits to be sent first if it has to wait.
  const StreamResult* next_result(std::chrono::milliseconds timeout = std::chrono::milliseconds(-1));

  // Submissions without a result.
  std::size_t pending() const;
  // To be watched for reading by a caller's own loop: when readable, take results with timeout 0 until there
  // is none.
  int descriptor() const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace poold
