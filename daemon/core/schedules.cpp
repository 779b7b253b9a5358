#include "daemon/core/schedules.hpp"

#include <algorithm>
#include <utility>

namespace poold::core {
namespace {

// A clock that was put back by less is waited for; by more, the times from then on count anew.
constexpr std::int64_t clock_error_max = 3600;
// So many missed times are counted; beyond, nobody wants the number.
constexpr std::size_t missed_max = 1000;

// FNV-1a over the name and the time, then mixed: the same run always has the same jitter, and schedules of
// one time do not come together.
std::int64_t jitter(const ScheduleSettings& settings, std::int64_t time) {
  if (settings.jitter == 0) return 0;
  std::uint64_t value = 0xcbf29ce484222325;
  const auto mix = [&](std::uint64_t byte) { value = (value ^ byte) * 0x100000001b3; };
  for (const char c : settings.name) mix(static_cast<unsigned char>(c));
  for (int shift = 0; shift < 64; shift += 8) mix(static_cast<std::uint64_t>(time) >> shift & 0xff);
  value ^= value >> 32;
  return static_cast<std::int64_t>(value % (static_cast<std::uint64_t>(settings.jitter) + 1));
}

std::optional<std::int64_t> next_time(const Schedule& schedule) {
  return schedule.settings.recurrence.next(schedule.looked_at, schedule.start, *schedule.settings.zone);
}

void set_due(Schedule& schedule) {
  schedule.due = next_time(schedule);
  if (schedule.due) *schedule.due += jitter(schedule.settings, *schedule.due);
}

// How often it is to run now; the next time is found.
std::size_t settle(Schedule& schedule, std::int64_t now) {
  std::size_t times = 0;
  std::int64_t last_due = 0;
  while (schedule.due && *schedule.due <= now) {
    ++times;
    last_due = *schedule.due;
    // The time without its jitter.
    schedule.looked_at = times < missed_max ? *next_time(schedule) : now;
    set_due(schedule);
  }
  if (times == 0) return 0;
  std::size_t runs = 0;
  switch (schedule.settings.catch_up) {
    case CatchUp::once:
      runs = 1;
      break;
    case CatchUp::all:
      runs = std::min(times, catch_up_max);
      break;
    case CatchUp::none:
      runs = now - last_due <= on_time_max ? 1 : 0;
      break;
  }
  schedule.missed += times - runs;
  return runs;
}

}  // namespace

Schedule& Schedules::put(ScheduleSettings settings, std::int64_t now) {
  const std::string name = settings.name;
  Schedule& schedule = schedules_[name];
  schedule = {};
  schedule.settings = std::move(settings);
  schedule.start = schedule.looked_at = now;
  set_due(schedule);
  return schedule;
}

void Schedules::restore(Schedule&& schedule) {
  const std::string name = schedule.settings.name;
  Schedule& put_back = schedules_[name];
  put_back = std::move(schedule);
  set_due(put_back);
}

Schedule* Schedules::find(const std::string& name) {
  const auto at = schedules_.find(name);
  return at == schedules_.end() ? nullptr : &at->second;
}

std::optional<std::int64_t> Schedules::next_due() const {
  std::optional<std::int64_t> next;
  for (const auto& [name, schedule] : schedules_)
    if (schedule.due && (!next || *schedule.due < *next)) next = schedule.due;
  return next;
}

std::vector<std::string> Schedules::take_due(std::int64_t now) {
  std::vector<std::string> due;
  for (auto& [name, schedule] : schedules_) due.insert(due.end(), settle(schedule, now), name);
  return due;
}

void Schedules::clock_set(std::int64_t now) {
  for (auto& [name, schedule] : schedules_) {
    if (schedule.looked_at - now <= clock_error_max) continue;
    schedule.looked_at = now;
    schedule.start = std::min(schedule.start, now);
    set_due(schedule);
  }
}

OverlapDecision overlap_decision(const State& state, const Schedule& schedule) {
  const bool runs = schedule.last_task && state.tasks.find(sequence_of(*schedule.last_task)) != nullptr;
  if (!runs) return OverlapDecision::run;
  switch (schedule.settings.overlap) {
    case Overlap::skip:
      return OverlapDecision::skip;
    case Overlap::queue:
      return OverlapDecision::run_after_last;
    case Overlap::replace:
      return OverlapDecision::replace_last;
  }
  return OverlapDecision::skip;
}

}  // namespace poold::core
