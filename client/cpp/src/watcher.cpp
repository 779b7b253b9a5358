#include "client/cpp/src/watcher.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <system_error>

#include "client/cpp/src/session.hpp"

namespace poold::worker {
namespace {

// Long against handing over, short against the 10 ms that a task may wait behind another.
constexpr std::int64_t takeover_ns = 5'000'000;
// When the executor had the mutex at the moment of the tick.
constexpr std::int64_t retry_ns = 1'000'000;

void drain(int fd) {
  std::uint64_t count;
  [[maybe_unused]] const ssize_t n = ::read(fd, &count, sizeof count);
}

}  // namespace

std::int64_t monotonic_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Watcher::Watcher(Exchange& exchange)
    : exchange_(exchange),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!timer_.valid() || !stop_.valid()) throw std::system_error(errno, std::generic_category(), "timer");
  // Signals are the functions' business, and their thread's.
  sigset_t all, old;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &old);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

Watcher::~Watcher() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(stop_.get(), &one, sizeof one);
  thread_.join();
}

void Watcher::arm(std::int64_t now_ns) {
  armed_.store(true);
  const std::int64_t at = now_ns + takeover_ns;
  const itimerspec when{{0, 0}, {at / 1'000'000'000, at % 1'000'000'000}};
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void Watcher::run() {
  for (;;) {
    const bool ours = taken_over_ != 0;
    std::array<pollfd, 5> fds{{{orphaned_ ? -1 : lifeline, POLLIN, 0},
                               {stop_.get(), POLLIN, 0},
                               {timer_.get(), POLLIN, 0},
                               {ours && reads_ ? task_pipe : -1, POLLIN, 0},
                               {ours && writes_ ? result_pipe : -1, POLLOUT, 0}}};
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    if (fds[0].revents != 0 && look_at_lifeline()) continue;  // the pipes that were waited for are gone
    if (fds[1].revents != 0) return;
    if (fds[2].revents != 0) drain(timer_.get());
    if (fds[2].revents != 0 || fds[3].revents != 0 || fds[4].revents != 0) tick();
  }
}

// True if there are new pipes.
bool Watcher::look_at_lifeline() {
  // Its end is nothing to wait for.
  char first;
  const bool ended = ::recv(lifeline, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  if (ended && !exchange_.outbox.has_file()) end_with_session(0);
  // Whoever reads or writes does it with the mutex: so no call is under way on the pipes that are replaced.
  // An executor that waits for input finds its pipe ended and gives the mutex up.
  const std::unique_lock lock(exchange_.mutex);
  std::optional<ResultRing> ring;
  switch (read_lifeline(ring)) {
    case LifelineNews::nothing:
      return false;
    case LifelineNews::new_pipes:
      exchange_.meet_engine(std::move(ring));
      writes_ = exchange_.outbox.flush() == Outbox::Flush::would_block;
      reads_ = true;
      return true;
    case LifelineNews::ended:
      if (!exchange_.outbox.has_file() || !exchange_.outbox.keeps() || !exchange_.become_orphan())
        end_with_session(0);
      orphaned_ = true;
      reads_ = writes_ = false;
      return true;
  }
  return false;
}

// No function runs, so nothing is to be watched; the executor arms the timer for the next.
void Watcher::disarm() {
  armed_.store(false);
  // It may have begun one in between and have relied on the timer.
  const std::int64_t since = working_since_.load();
  if (since != 0 && since != taken_over_ && !armed_.exchange(true)) arm(since);
}

void Watcher::tick() {
  const std::int64_t since = working_since_.load();
  if (taken_over_ != since) taken_over_ = 0;
  if (since == 0) return disarm();
  const std::int64_t now = monotonic_ns();
  if (taken_over_ == 0 && now - since < takeover_ns) return arm(since);
  if (!take_over(since)) {
    taken_over_ = 0;
    return arm(now + retry_ns - takeover_ns);
  }
  disarm();
}

// False if the executor is back at the pipes.
bool Watcher::take_over(std::int64_t since) {
  const std::unique_lock lock(exchange_.mutex, std::try_to_lock);
  if (!lock.owns_lock() || working_since_.load() != since) return false;
  if (!exchange_.take_in()) ::_exit(1);
  // A closed result pipe shows at the task pipe, too.
  writes_ = exchange_.outbox.flush() == Outbox::Flush::would_block;
  reads_ = !exchange_.closed() && !exchange_.full();
  taken_over_ = since;
  return true;
}

}  // namespace poold::worker
