#include "client/cli/progress_text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>

#include "client/cli/reading.hpp"
#include "client/cli/text.hpp"

namespace poold::cli {
namespace {

// After this time a measured pace counts for a third of what is measured now.
constexpr double pace_seconds = 5;
constexpr std::size_t bar_width_max = 40;
constexpr std::size_t bar_width_min = 10;

std::uint64_t all_done(const ProgressState& state) { return state.tally.done() + state.skipped; }

std::string left_text(const ProgressState& state, double per_second) {
  if (!state.total || per_second <= 0 || all_done(state) >= *state.total) return {};
  const double seconds = static_cast<double>(*state.total - all_done(state)) / per_second;
  if (seconds > 365 * 86400.0) return {};
  return short_duration(std::chrono::nanoseconds(std::chrono::seconds(std::llround(std::ceil(seconds))))) +
         " left";
}

}  // namespace

void Pace::update(std::uint64_t done, Instant now) {
  const double seconds = std::chrono::duration<double>(now - at_).count();
  if (seconds <= 0) return;
  const double current = static_cast<double>(done - done_) / seconds;
  const double kept = std::exp(-seconds / pace_seconds);
  weighted_ = kept * weighted_ + (1 - kept) * current;
  weight_ = kept * weight_ + (1 - kept);
  at_ = now;
  done_ = done;
}

std::string pace_text(double per_second) {
  char text[32];
  if (per_second >= 1e6)
    std::snprintf(text, sizeof text, "%.1fM/s", per_second / 1e6);
  else if (per_second >= 1e3)
    std::snprintf(text, sizeof text, "%.1fk/s", per_second / 1e3);
  else if (per_second >= 9.95)
    std::snprintf(text, sizeof text, "%.0f/s", per_second);
  else
    std::snprintf(text, sizeof text, "%.1f/s", per_second);
  return text;
}

std::string progress_text(const ProgressState& state, double per_second) {
  std::string text = std::to_string(all_done(state));
  if (state.total) text.append(" of ").append(std::to_string(*state.total));
  text.append(" done, ").append(pace_text(per_second));
  if (const std::string left = left_text(state, per_second); !left.empty()) text.append(", ").append(left);
  if (state.tally.failed > 0) text.append(", ").append(std::to_string(state.tally.failed)).append(" failed");
  return text;
}

std::string progress_bar(const ProgressState& state, double per_second, std::size_t width) {
  std::string text = std::to_string(all_done(state));
  text.append(state.total ? "/" + std::to_string(*state.total) : std::string(" done"));
  text.append("  ").append(pace_text(per_second));
  if (const std::string left = left_text(state, per_second); !left.empty()) text.append("  ").append(left);
  if (state.tally.failed > 0) text.append("  ").append(std::to_string(state.tally.failed)).append(" failed");
  const std::size_t around = text.size() + std::string_view("100% []  ").size();
  if (state.total && *state.total > 0 && width >= around + bar_width_min) {
    const double share =
        std::min(1.0, static_cast<double>(all_done(state)) / static_cast<double>(*state.total));
    const std::size_t bar = std::min(width - around, bar_width_max);
    const auto full = static_cast<std::size_t>(share * static_cast<double>(bar));
    char percent[8];
    std::snprintf(percent, sizeof percent, "%3d%% ", static_cast<int>(share * 100));
    std::string drawn(full, '=');
    if (full < bar) drawn.push_back('>');
    drawn.resize(bar, ' ');
    text = percent + ("[" + drawn + "]  ") + text;
  }
  return cut_to_width(text, width);
}

}  // namespace poold::cli
