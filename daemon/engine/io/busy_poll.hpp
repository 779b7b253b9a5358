// Looks whether something has come for some microseconds before the loop sleeps.
//
// To be woken on another processor costs as much as a small task. Who has written to one peer, and has
// nothing else to do, mostly has the answer before it would be asleep. Where an answer has not come in time,
// the next waits of that kind sleep at once: two, four, and so on up to 4,096 as long as that goes on.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace poold::engine {

class BusyPoll {
 public:
  static constexpr std::chrono::microseconds span{50};

  // How the last waits for something of one kind went.
  class History {
    friend BusyPoll;
    std::uint32_t misses = 0;    // one after the other
    std::uint32_t left_out = 0;  // how many more waits sleep at once
  };

  // With one processor a peer could not work meanwhile: then this never looks.
  BusyPoll(boost::asio::io_context& loop, std::size_t cpus) : loop_(loop), useful_(cpus > 1) {}

  // An answer is expected, and nothing else. `kind` is that of such waits, and must live on.
  void begin(History& kind);
  // Something has come.
  void end();

 private:
  // Of the handler that is posted, one at a time: Asio itself keeps the memory of two, and the loop's others
  // use both. Shared, since the loop may outlive this with the handler in it.
  struct Memory {
    alignas(std::max_align_t) std::byte bytes[128];
  };
  template <class T>
  struct Allocator;

  void look();
  void look_again();

  boost::asio::io_context& loop_;
  const bool useful_;
  History* kind_ = nullptr;  // of the wait that is on
  std::chrono::steady_clock::time_point until_;
  bool posted_ = false;
  std::shared_ptr<Memory> memory_ = std::make_shared<Memory>();
};

}  // namespace poold::engine
