// What the model looks like on a screen of a given size, as lines of coloured text: the same for a terminal
// and for
// --once. Pure; terminal.cpp puts it on a terminal.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/table.hpp"
#include "client/cli/top/model.hpp"

namespace poold::cli::top {

struct Span {
  std::string text;
  Colour colour = Colour::none;
  bool bold = false;
  bool reversed = false;
  bool dim = false;
};
using FrameLine = std::vector<Span>;

struct Frame {
  std::vector<FrameLine> lines;             // from the top; none wider than the screen
  std::optional<std::size_t> caret_column;  // in the last line, while something is typed
};

struct Size {
  std::size_t width = 80;
  std::size_t height = 24;
};

// Exactly `height` lines. Tells the model how much room its tables have.
Frame draw(Model& model, Size size);
// Header and all three tables, every row; nothing is marked.
std::vector<FrameLine> draw_once(const Model& model, std::optional<std::size_t> width);

// Without colours, or with the escape sequences of ps.
std::string to_text(const FrameLine& line, bool colours);

}  // namespace poold::cli::top
