#include "client/cli/halt.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

#include "client/cli/reading.hpp"

namespace poold::cli {
namespace {

using std::chrono::milliseconds;

// A share of fewer tasks than this says nothing yet.
constexpr std::uint64_t percent_count_min = 3;

constexpr std::size_t window_max = 8192;
constexpr std::size_t window_min = 8;
constexpr auto period = milliseconds(20);  // how often the pace is measured
// How much work at that pace is in flight. Much longer than any answer takes, also on a machine that is
// loaded: a window that is too small slows the pace that it is made from.
constexpr auto ahead_time = std::chrono::seconds(1);
// It grows at once and shrinks slowly: a pause of a loaded machine says nothing about the tasks.
constexpr auto half_life = std::chrono::seconds(2);

std::uint64_t count_of(const Tally& tally, Halt::What what) {
  switch (what) {
    case Halt::What::fail:
      return tally.failed;
    case Halt::What::success:
      return tally.succeeded;
    case Halt::What::done:
      return tally.done();
  }
  std::abort();
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

bool Halt::reached(const Tally& tally) const {
  if (when == When::never) return false;
  const std::uint64_t reached_count = count_of(tally, what);
  if (!percent) return reached_count >= count;
  return reached_count >= percent_count_min && reached_count * 100 >= count * tally.done();
}

Halt read_halt(std::string_view text) {
  Halt halt;
  if (text == "never") return halt;
  std::string_view rest = text;
  bool right = true;
  if (take_prefix(rest, "soon,"))
    halt.when = Halt::When::soon;
  else if (take_prefix(rest, "now,"))
    halt.when = Halt::When::now;
  else
    right = false;
  if (take_prefix(rest, "fail="))
    halt.what = Halt::What::fail;
  else if (take_prefix(rest, "success="))
    halt.what = Halt::What::success;
  else if (take_prefix(rest, "done="))
    halt.what = Halt::What::done;
  else
    right = false;
  if (rest.ends_with('%')) {
    halt.percent = true;
    rest.remove_suffix(1);
  }
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), halt.count);
  right = right && error == std::errc() && end == rest.data() + rest.size() && halt.count > 0 &&
          (!halt.percent || halt.count <= 100);
  if (!right)
    throw UsageError(
        "--halt: not '" + std::string(text) +
        "' (accepted: never, soon,fail=N, now,fail=N; success or done in place of fail; N or N%)");
  return halt;
}

Window::Window(std::size_t workers, Instant now)
    : size_min_(std::clamp(4 * workers, window_min, window_max)), size_(size_min_), since_(now) {}

void Window::ended(std::size_t count, Instant now) {
  ended_ += count;
  const auto passed = now - since_;
  if (passed < period) return;
  const double pace = static_cast<double>(ended_) / std::chrono::duration<double>(passed).count();
  const double wanted = pace * std::chrono::duration<double>(ahead_time).count();
  const double kept =
      static_cast<double>(size_) * std::exp2(-std::chrono::duration<double>(passed) / half_life);
  size_ = std::clamp(static_cast<std::size_t>(std::max(wanted, kept)), size_min_, window_max);
  ended_ = 0;
  since_ = now;
}

}  // namespace poold::cli
