// The terminal, through ncurses: frames go to it, keys come from it. While one lives, the terminal is top's;
// its end, however it comes, gives the terminal back as it was.
#pragma once

#include <optional>

#include "client/cli/top/frame.hpp"
#include "client/cli/top/model.hpp"

namespace poold::cli::top {

// Throws UsageError where there is no terminal that could be used.
void require_terminal();

class Terminal {
 public:
  // Throws UsageError as require_terminal() does, and for a terminal that ncurses does not know.
  explicit Terminal(bool colours);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  Size size() const;
  void show(const Frame& frame);
  // The terminal has another size, or somebody wrote over the screen.
  void resize();
  void redraw();
  // None: nothing more for now, or a key that means nothing.
  std::optional<Key> read();
};

}  // namespace poold::cli::top
