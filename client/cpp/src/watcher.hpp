// The second thread of a function worker. It sleeps on the lifeline, and kills the session when that ends,
// also while a function runs. Once a function has run for 5 ms, it takes over the pipes, so that tasks are
// given back and cancels arrive. An idle worker has no timer.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "client/cpp/src/exchange.hpp"
#include "common/seqpacket.hpp"

namespace poold::worker {

class Watcher {
 public:
  explicit Watcher(Exchange& exchange);
  ~Watcher();
  Watcher(const Watcher&) = delete;

  // The executor gives up the mutex and runs a function from now on. At most one system call in 5 ms.
  void working(std::int64_t now_ns) {
    working_since_.store(now_ns);
    if (!armed_.load()) arm(now_ns);
  }
  // The executor waits for input, which may take for ever.
  void idle() { working_since_.store(0); }

 private:
  void arm(std::int64_t now_ns);
  void run();
  void tick();
  bool look_at_lifeline();
  void disarm();
  bool take_over(std::int64_t since);

  Exchange& exchange_;
  // When the running function began, by the monotonic clock; 0 while idle. Between two functions it is the
  // former's.
  std::atomic<std::int64_t> working_since_{0};
  // The timer will go off; whoever sets this sets the timer.
  std::atomic<bool> armed_{false};
  FileDescriptor timer_;
  FileDescriptor stop_;
  // The function whose time it was when the pipes were taken over; 0 while the executor has them. Only the
  // watcher's thread uses it.
  std::int64_t taken_over_ = 0;
  // What it waits for then.
  bool reads_ = false;
  bool writes_ = false;
  bool orphaned_ = false;  // the lifeline has ended, and is looked at no more
  std::thread thread_;
};

// Nanoseconds of the monotonic clock.
std::int64_t monotonic_ns();

}  // namespace poold::worker
