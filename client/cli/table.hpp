// Columns of text that fit a terminal. Pure: rows in, lines out.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace poold::cli {

enum class Colour { none, green, red, yellow, cyan };

struct Cell {
  std::string text;  // escaped already
  Colour colour = Colour::none;
};
using Row = std::vector<Cell>;

struct Column {
  std::string title;
  bool number = false;    // set to the right
  bool flexible = false;  // may be cut to fit the width
};

// What the lines are for.
struct Screen {
  std::optional<std::size_t> width;  // of the terminal; none: nothing is cut
  bool colours = false;
};

// Widths are chosen from the first rows given to format() and kept from then on, so that a list of any length
// can be printed page by page under one heading.
class Table {
 public:
  Table(std::vector<Column> columns, Screen screen);

  // The lines of these rows; before the first ones, the titles. A row has a cell for each column.
  std::string format(const std::vector<Row>& rows);

 private:
  void choose_widths(const std::vector<Row>& rows);
  void fit_screen();
  void append_row(std::string& out, const Row& row) const;

  std::vector<Column> columns_;
  Screen screen_;
  std::vector<std::size_t> widths_;
};

// "name:   value" lines with the values under one another; empty values are left out. Further lines of a
// value stand under its first.
std::string format_sheet(const std::vector<std::pair<std::string, std::string>>& lines);

std::string coloured(const std::string& text, Colour colour);

}  // namespace poold::cli
