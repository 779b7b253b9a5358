#include "client/cli/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "client/cli/text.hpp"

namespace poold::cli {
namespace {

using std::chrono::milliseconds;

constexpr auto redraw_period = milliseconds(100);
constexpr auto line_period = std::chrono::seconds(10);
constexpr std::size_t width_default = 80;

std::size_t stderr_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return width_default;
}

void write_stderr(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace

Progress::Progress(Kind kind, Instant now)
    : kind_(kind),
      pace_(now),
      due_(now + (kind == Kind::lines ? milliseconds(line_period) : redraw_period)) {}

std::optional<milliseconds> Progress::due_in(Instant now) const {
  if (kind_ == Kind::none) return {};
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(due_ - now));
}

void Progress::show(const ProgressState& state, Instant now) {
  if (kind_ == Kind::none || now < due_) return;
  pace_.update(state.tally.done(), now);
  if (kind_ == Kind::lines) {
    due_ = now + line_period;
    complain(progress_text(state, pace_.per_second()));
    return;
  }
  due_ = now + redraw_period;
  // The last column stays free: some terminals wrap when it is written.
  write_stderr("\r" + progress_bar(state, pace_.per_second(), stderr_width() - 1) + "\x1b[K");
  shown_ = true;
}

void Progress::hide() {
  if (!shown_) return;
  write_stderr("\r\x1b[K");
  shown_ = false;
}

}  // namespace poold::cli
