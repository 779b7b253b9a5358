// Shows how far a map has come, on stderr: a line that is drawn over and over on a terminal, a new line every
// ten seconds elsewhere.
#pragma once

#include <chrono>
#include <optional>

#include "client/cli/progress_text.hpp"

namespace poold::cli {

class Progress {
 public:
  using Instant = std::chrono::steady_clock::time_point;
  enum class Kind { none, terminal, lines };

  Progress(Kind kind, Instant now);
  // Shows where it stands if that is due.
  void show(const ProgressState& state, Instant now);
  // How long until then.
  std::optional<std::chrono::milliseconds> due_in(Instant now) const;
  // Takes the line off the terminal, so that something else can be written.
  void hide();

 private:
  Kind kind_;
  Pace pace_;
  Instant due_;
  bool shown_ = false;
};

}  // namespace poold::cli
