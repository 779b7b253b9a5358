// Memory of texts that are not needed any more, for the next ones: a task's work and its result are kept
// until the task is forgotten, and without this each of them would ask for memory and give it back.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace poold::engine {

class SpareBuffers {
 public:
  // A string with these bytes.
  std::string hold(std::string_view bytes) {
    if (bytes.size() <= inside_max) return std::string(bytes);
    return (bytes.size() <= small_max ? small_ : large_).hold(bytes);
  }
  void give_back(std::string&& text) {
    if (text.capacity() <= inside_max || text.capacity() > large_max) return;
    (text.capacity() <= small_max ? small_ : large_).give_back(std::move(text));
  }

 private:
  // What fits into the string object takes no memory anyway.
  static constexpr std::size_t inside_max = sizeof(std::string) / 2 - 1;
  static constexpr std::size_t small_max = 4096;
  // Clients and workers of ours send more in shared memory.
  static constexpr std::size_t large_max = 256 * 1024;

  // Of their own kind, so that a short text does not keep a long one's memory while its task is retained.
  class Shelf {
   public:
    explicit Shelf(std::size_t count_max) : count_max_(count_max) { spares_.reserve(count_max); }

    std::string hold(std::string_view bytes) {
      if (spares_.empty()) return std::string(bytes);
      std::string text = std::move(spares_.back());
      spares_.pop_back();
      text.assign(bytes);
      return text;
    }
    void give_back(std::string&& text) {
      if (spares_.size() < count_max_) spares_.push_back(std::move(text));
    }

   private:
    std::size_t count_max_;
    std::vector<std::string> spares_;
  };

  // As many as a few turns need; and 8 MiB at the very most of each kind.
  Shelf small_{2048};
  Shelf large_{32};
};

}  // namespace poold::engine
