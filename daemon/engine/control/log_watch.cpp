#include "daemon/engine/control/log_watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <vector>

namespace poold::engine {

LogWatch::LogWatch(boost::asio::io_context& loop) : inotify_(loop) {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return;  // nobody can follow; add() says so
  inotify_.assign(fd);
  wait();
}

std::shared_ptr<void> LogWatch::add(const std::string& path, Grown grown) {
  if (!inotify_.is_open()) return nullptr;
  const int number = ::inotify_add_watch(inotify_.native_handle(), path.c_str(), IN_MODIFY);
  if (number < 0) return nullptr;
  auto* function = new Grown(std::move(grown));
  std::shared_ptr<Grown> handle(function, [this, number](Grown* gone) {
    delete gone;
    // The deleter runs when the last owner is gone: expired entries of this file go, and with the last one
    // the watch itself.
    const auto [begin, end] = watched_.equal_range(number);
    for (auto at = begin; at != end;) at = at->second.expired() ? watched_.erase(at) : std::next(at);
    if (watched_.count(number) == 0) ::inotify_rm_watch(inotify_.native_handle(), number);
  });
  watched_.emplace(number, handle);
  return handle;
}

void LogWatch::wait() {
  inotify_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this](const boost::system::error_code& error) {
                        if (error) return;
                        read_events();
                        wait();
                      });
}

void LogWatch::read_events() {
  alignas(inotify_event) char buffer[16 * 1024];
  for (;;) {
    const ssize_t got = ::read(inotify_.native_handle(), buffer, sizeof buffer);
    if (got <= 0) return;
    int last = -1;
    for (const char* at = buffer; at < buffer + got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof *event + event->len;
      if (event->wd == last) continue;  // a burst of writes to one file is told once
      last = event->wd;
      std::vector<std::shared_ptr<Grown>> told;
      const auto [begin, end] = watched_.equal_range(event->wd);
      for (auto entry = begin; entry != end; ++entry)
        if (auto grown = entry->second.lock()) told.push_back(std::move(grown));
      for (const auto& grown : told) (*grown)();
    }
  }
}

}  // namespace poold::engine
