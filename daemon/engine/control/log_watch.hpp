// Tells when a file has grown. One inotify descriptor for all; costs nothing while nobody follows a log.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

namespace poold::engine {

class LogWatch {
 public:
  using Grown = std::function<void()>;
  explicit LogWatch(boost::asio::io_context& loop);

  // Calls `grown` after every write to the file, as long as the returned handle lives. Null if the file
  // cannot be watched (it is not there, or the user's limit of watches is reached).
  std::shared_ptr<void> add(const std::string& path, Grown grown);

 private:
  void wait();
  void read_events();

  struct File {
    std::weak_ptr<Grown> grown;
  };
  boost::asio::posix::stream_descriptor inotify_;
  // inotify gives one number a file, however often it is added.
  std::unordered_multimap<int, std::weak_ptr<Grown>> watched_;
};

}  // namespace poold::engine
