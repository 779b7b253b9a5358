#include "client/cpp/src/held_tasks.hpp"

#include <algorithm>
#include <unordered_set>

#include "common/frame_message.hpp"

namespace poold::worker {

std::string HeldTasks::pop() {
  std::string frame = std::move(tasks_.front().frame);
  tasks_.pop_front();
  size_ -= frame.size();
  return frame;
}

void HeldTasks::clear() {
  tasks_.clear();
  size_ = 0;
}

void HeldTasks::read_numbers() {
  for (Held& held : tasks_) {
    if (held.read) continue;
    held.read = true;
    // A frame that is no task keeps the number 0; the executor will come to it and complain.
    if (!parse_message(scratch_, held.frame)) continue;
    held.number = scratch_.task().task();
    held.attempt = scratch_.task().attempt();
  }
}

std::vector<std::uint64_t> HeldTasks::take_back(std::span<const std::uint64_t> numbers) {
  read_numbers();
  const std::unordered_set<std::uint64_t> wanted(numbers.begin(), numbers.end());
  std::vector<std::uint64_t> taken;
  std::erase_if(tasks_, [&](const Held& held) {
    if (!wanted.contains(held.number)) return false;
    taken.push_back(held.number);
    size_ -= held.frame.size();
    return true;
  });
  return taken;
}

bool HeldTasks::remove(std::uint64_t number, std::uint32_t attempt) {
  read_numbers();
  const auto found = std::find_if(tasks_.begin(), tasks_.end(), [&](const Held& held) {
    return held.number == number && held.attempt == attempt;
  });
  if (found == tasks_.end()) return false;
  size_ -= found->frame.size();
  tasks_.erase(found);
  return true;
}

}  // namespace poold::worker
