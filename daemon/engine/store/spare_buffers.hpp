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
  SpareBuffers() { spares_.reserve(count_max); }

  // A string with these bytes.
  std::string hold(std::string_view bytes) {
    if (bytes.size() <= inside_max || spares_.empty()) return std::string(bytes);
    std::string text = std::move(spares_.back());
    spares_.pop_back();
    text.assign(bytes);
    return text;
  }
  void give_back(std::string&& text) {
    const bool useful = text.capacity() > inside_max && text.capacity() <= capacity_max;
    if (useful && spares_.size() < count_max) spares_.push_back(std::move(text));
  }

 private:
  // As many as a few turns need; and 8 MiB at the very most.
  static constexpr std::size_t count_max = 2048;
  static constexpr std::size_t capacity_max = 4096;
  // What fits into the string object takes no memory anyway.
  static constexpr std::size_t inside_max = sizeof(std::string) / 2 - 1;

  std::vector<std::string> spares_;
};

}  // namespace poold::engine
