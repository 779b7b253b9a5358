// Rings at a time of the clock on the wall, also after the machine has slept; and at once when that clock is
// set. Costs no wake-up before.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <optional>

namespace poold::engine {

class WallTimer {
 public:
  // `ring` is told whether the clock was set.
  WallTimer(boost::asio::io_context& loop, std::function<void(bool clock_set)> ring);
  // In seconds since 1970; nothing: never, and it is not told of a set clock either.
  void set(std::optional<std::int64_t> at);

 private:
  void wait();

  boost::asio::posix::stream_descriptor descriptor_;
  std::function<void(bool)> ring_;
  std::optional<std::int64_t> at_;
  bool waiting_ = false;
};

}  // namespace poold::engine
