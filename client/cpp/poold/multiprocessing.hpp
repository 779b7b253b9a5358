// The words of Python's multiprocessing for C++, on the daemon: Pool, Process, Pipe, Queue, Semaphore,
// SharedMemory.
//
//   poold::multiprocessing::Pool pool({.pool = "math"});
//   auto sum = pool.apply_async("add", {1, 2});
//   pool.close();
//   pool.join();
//   sum.get().as_integer();
//
// Functions are those that the pool's workers know by name (function.hpp). Queues, semaphores and pipes are
// passed to them by name and opened there. Everything throws poold::Error; what a task ended with is
// RemoteError. All classes may be used from any thread; a call that waits does not hold up others.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "error.hpp"
#include "stream.hpp"
#include "task.hpp"
#include "value.hpp"

namespace poold::multiprocessing {

// No value: no limit. 0: do not wait.
using Timeout = std::optional<std::chrono::milliseconds>;

struct PoolOptions {
  std::string pool;           // an existing one; empty: "default"
  std::string of_template;    // in its place: a pool of one's own of this template of the configuration ...
  std::uint32_t workers = 0;  // ... with so many workers; 0: as the template has
  std::string socket;         // as ClientOptions::socket
};

// Tasks run once: a lost worker is one error, not a retry. An error fails its own task only, and the pool
// goes on.
class Pool {
 public:
  using Callback = std::function<void(const Value&)>;
  using ErrorCallback = std::function<void(const std::exception_ptr&)>;

  explicit Pool(const PoolOptions& options = {});
  // terminate().
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  Value apply(const std::string& function, Value::List args = {}, Value::Map kwargs = {});
  // The callbacks run on the pool's own thread and must not block.
  std::future<Value> apply_async(const std::string& function, Value::List args = {}, Value::Map kwargs = {},
                                 Callback callback = {}, ErrorCallback error_callback = {});
  // One call for each item, the results in the order of the items; the first error is thrown when all have
  // ended.
  std::vector<Value> map(const std::string& function, const std::vector<Value>& items);
  // One call for each list of arguments.
  std::vector<Value> starmap(const std::string& function, const std::vector<Value::List>& items);
  // Calls `take` for each result, in the order of the items, as soon as it and those before it are there.
  void imap(const std::string& function, const std::vector<Value>& items, const Callback& take);

  // Takes nothing more (std::logic_error); what was taken still runs.
  void close();
  // Cancels what has not ended.
  void terminate();
  // Blocks until everything has ended. After close() or terminate() only (std::logic_error).
  void join();
  const std::string& name() const;

 private:
  class Inside;
  std::unique_ptr<Inside> inside_;
};

struct ProcessOptions {
  std::string pool;  // whose program, user and limits it has; empty: "default"
  std::string name;
  bool daemon = false;  // ends with this object's connection, so with this program
  std::string socket;
};

// A process of its own, beside the pool's workers.
class Process {
 public:
  Process(Function target, ProcessOptions options = {});
  Process(Command target, ProcessOptions options = {});
  // A daemon process is ended. Others live on.
  ~Process();
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;

  // Returns when the process has begun its work.
  void start();
  // False at the time-out.
  bool join(Timeout timeout = {});
  bool is_alive();
  void terminate() { signal(15); }
  void kill() { signal(9); }
  // One that has ended is left alone.
  void signal(int number);

  // Of the task; empty before start().
  const std::string& id() const;
  const std::string& name() const;
  pid_t pid() const;
  // None while it lives; 0 if its function returned, 1 if that threw, else its exit code or minus the signal.
  std::optional<int> exit_code();

 private:
  class Inside;
  std::unique_ptr<Inside> inside_;
};

namespace detail {
class Lines;
}

struct QueueOptions {
  std::string name;              // empty: one that was never used, and the queue goes with this object
  std::uint32_t length_max = 0;  // 0: 1,000,000
  std::string socket;
};

// Messages of bytes.
class Queue {
 public:
  // Opened if it is there, else made.
  explicit Queue(const QueueOptions& options = {});
  // One that is there: another process has made it. Error not_found at the first use if it is not.
  static Queue open(const std::string& name, const std::string& socket = {});
  // False at the time-out.
  bool put(std::string message, Timeout timeout = {});
  // None at the time-out. Error not_found: it was closed and is empty, or deleted.
  std::optional<std::string> get(Timeout timeout = {});
  // The same for values.
  bool put_value(const Value& value, Timeout timeout = {}) { return put(value.to_json(), timeout); }
  std::optional<Value> get_value(Timeout timeout = {});
  // Takes no more messages, and goes when it is empty.
  void close();
  const std::string& name() const { return name_; }

 private:
  Queue(std::shared_ptr<detail::Lines> lines, std::string name);
  std::shared_ptr<detail::Lines> lines_;
  std::string name_;
};

struct SemaphoreOptions {
  std::string name;  // empty: one that was never used, and the semaphore goes with this object
  std::uint32_t permits = 1;
  std::uint32_t permits_max = 0;  // 0: no bound; 1: a lock
  std::string socket;
};

// Permits that come back when their holder dies. Locks as std::mutex does: std::scoped_lock guard(semaphore).
class Semaphore {
 public:
  // Opened if it is there, else made.
  explicit Semaphore(const SemaphoreOptions& options = {});
  // One that is there: another process has made it. Error not_found at the first use if it is not.
  static Semaphore open(const std::string& name, const std::string& socket = {});
  // False at the time-out.
  bool acquire(Timeout timeout = {});
  void release(std::uint32_t count = 1);
  void lock() { acquire(); }
  bool try_lock() { return acquire(std::chrono::milliseconds(0)); }
  void unlock() { release(); }
  const std::string& name() const { return name_; }

 private:
  Semaphore(std::shared_ptr<detail::Lines> lines, std::string name);
  std::shared_ptr<detail::Lines> lines_;
  std::string name_;
};

// One end of a pipe.
class Connection {
 public:
  // Opens the end that reference() names, in another process.
  explicit Connection(const std::string& reference);
  // std::logic_error if this end only receives.
  void send(std::string message);
  // Error not_found when the other end was closed and everything was received.
  std::string receive();
  // Is there something to receive, or the end?
  bool poll(Timeout timeout = std::chrono::milliseconds(0));
  void close();
  std::string reference() const;

 private:
  friend std::pair<Connection, Connection> Pipe(bool duplex, const std::string& socket);
  Connection(std::optional<Queue> in, std::optional<Queue> out) : in_(std::move(in)), out_(std::move(out)) {}
  std::optional<Queue> in_, out_;
  std::optional<std::string> ahead_;  // poll() has taken it
  bool at_end_ = false;
};

// Two ends; without `duplex` the first only receives and the second only sends.
std::pair<Connection, Connection> Pipe(bool duplex = true, const std::string& socket = {});

// Bytes that processes of one user see together. They are gone with the last process that has them mapped,
// however it ends.
class SharedMemory {
 public:
  explicit SharedMemory(std::size_t size);
  // That of another process, which has to be there still. std::system_error.
  explicit SharedMemory(const std::string& name);
  ~SharedMemory();
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&&) = delete;

  std::span<std::byte> bytes() const { return {static_cast<std::byte*>(memory_), size_}; }
  // As an array of plain values.
  template <class Item>
  std::span<Item> as() const {
    static_assert(std::is_trivially_copyable_v<Item>);
    return {static_cast<Item*>(memory_), size_ / sizeof(Item)};
  }
  // To be given to other processes.
  const std::string& name() const { return name_; }

 private:
  void map();
  int file_ = -1;
  void* memory_ = nullptr;
  std::size_t size_ = 0;
  std::string name_;
};

}  // namespace poold::multiprocessing
