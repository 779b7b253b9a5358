#include "client/cli/shown_ends.hpp"

#include <algorithm>

#include "client/cpp/src/task_proto.hpp"

namespace poold::cli {
namespace {

// An event and its task's end are of the same turn of the daemon, which may read its clock twice.
constexpr auto clock_slack = std::chrono::milliseconds(10);

bool is_end(const v1::Event& event) { return has_ended(task_state(event.state())); }

}  // namespace

// What comes as it happens has the time at which it was told, which may be later than the end: there is a
// commit in between.
bool ShownEnds::wants_listed(const v1::Event& event) const {
  const Time time = from_proto(event.time());
  if (time < since_) return false;
  const auto known = shown_.find(event.id());
  return known == shown_.end() || time > known->second.time + clock_slack;
}

bool ShownEnds::wants_live(const v1::Event& event) {
  const auto known = shown_.find(event.id());
  if (known == shown_.end() || !known->second.listed) return true;
  if (is_end(event)) {
    known->second.listed = false;
    return event.attempt() > known->second.attempt;
  }
  return from_proto(event.time()) > known->second.time + clock_slack;
}

void ShownEnds::add(const v1::Event& event, bool listed) {
  if (!is_end(event)) return;
  const Time time = from_proto(event.time());
  shown_[event.id()] = {time, event.attempt(), listed};
  order_.push_back({event.id(), time});
  if (order_.size() <= count_max_) return;
  const auto oldest = shown_.find(order_.front().id);
  if (oldest != shown_.end() && oldest->second.time == order_.front().time) shown_.erase(oldest);
  since_ = std::max(since_, order_.front().time);
  order_.pop_front();
}

}  // namespace poold::cli
