// Tasks that have been read from the pipe and not been started: frames as they came, in order, with the
// numbers by which they can be asked back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "poold/v1/worker.pb.h"

namespace poold::worker {

class HeldTasks {
 public:
  void push(std::string_view frame) {
    tasks_.push_back({std::string(frame)});
    size_ += frame.size();
  }
  // The oldest, taken out. There must be one.
  std::string pop();

  bool empty() const { return tasks_.empty(); }
  std::size_t size() const { return size_; }  // bytes
  void clear();

  // Takes those out and says which.
  std::vector<std::uint64_t> take_back(std::span<const std::uint64_t> numbers);
  // The numbers of all, in order.
  template <class Visit>
  void each(Visit visit) {
    read_numbers();
    for (const Held& held : tasks_) visit(held.number);
  }
  // Takes that one out; false if it is not here.
  bool remove(std::uint64_t number, std::uint32_t attempt);

 private:
  struct Held {
    std::string frame;
    // Read from the frame when somebody first asks; most tasks are never asked back.
    bool read = false;
    std::uint64_t number = 0;
    std::uint32_t attempt = 0;
  };
  void read_numbers();

  std::deque<Held> tasks_;
  std::size_t size_ = 0;
  v1::ToWorker scratch_;
};

}  // namespace poold::worker
