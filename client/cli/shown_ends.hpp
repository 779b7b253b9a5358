// Which ends of tasks `events` has printed. The daemon keeps no history of changes, but it knows the tasks
// that have ended: at the beginning, and when the connection was lost, they are asked for, and none is
// printed twice.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>

#include "poold/v1/events.pb.h"

namespace poold::cli {

class ShownEnds {
 public:
  using Time = std::chrono::system_clock::time_point;
  // As many as a pool retains by default.
  static constexpr std::size_t count_default = 100'000;

  // Ends before `since` are not wanted.
  explicit ShownEnds(Time since, std::size_t count_max = count_default)
      : since_(since), count_max_(count_max) {}

  // From when on all ends that were shown are known. Moves on when there are more than are kept.
  Time since() const { return since_; }

  // What came as it happened was shown. What is no end changes nothing.
  void add_live(const v1::Event& event) { add(event, false); }
  // What the daemon was asked for was shown; it may still come as it happened.
  void add_listed(const v1::Event& event) { add(event, true); }

  // Whether this end, which the daemon was asked for, is still to be shown.
  bool wants_listed(const v1::Event& event) const;
  // Whether this change, which came as it happened, is: not if its task's end was shown before.
  bool wants_live(const v1::Event& event);

 private:
  struct Shown {
    Time time;
    std::uint32_t attempt;
    bool listed;  // and not yet come as it happened
  };
  struct Place {
    std::string id;
    Time time;
  };
  void add(const v1::Event& event, bool listed);

  Time since_;
  std::size_t count_max_;
  std::unordered_map<std::string, Shown> shown_;
  std::deque<Place> order_;  // an id whose task has ended again stands here twice
};

}  // namespace poold::cli
