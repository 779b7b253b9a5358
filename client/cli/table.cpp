#include "client/cli/table.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "client/cli/text.hpp"

namespace poold::cli {
namespace {

constexpr std::size_t gap = 2;  // between two columns
// A flexible column is not made narrower than this: the line wraps instead.
constexpr std::size_t flexible_width_min = 8;

std::string_view escape_sequence(Colour colour) {
  switch (colour) {
    case Colour::none:
      return "";
    case Colour::green:
      return "\x1b[32m";
    case Colour::red:
      return "\x1b[31m";
    case Colour::yellow:
      return "\x1b[33m";
    case Colour::cyan:
      return "\x1b[36m";
  }
  std::abort();
}

}  // namespace

std::string coloured(const std::string& text, Colour colour) {
  if (colour == Colour::none || text.empty()) return text;
  return std::string(escape_sequence(colour)) + text + "\x1b[0m";
}

Table::Table(std::vector<Column> columns, Screen screen) : columns_(std::move(columns)), screen_(screen) {}

std::string Table::format(const std::vector<Row>& rows) {
  std::string out;
  if (widths_.empty()) {
    choose_widths(rows);
    Row titles;
    for (const Column& column : columns_) titles.push_back({column.title});
    append_row(out, titles);
  }
  for (const Row& row : rows) append_row(out, row);
  return out;
}

void Table::choose_widths(const std::vector<Row>& rows) {
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = text_width(columns_[i].title);
    for (const Row& row : rows) width = std::max(width, text_width(row[i].text));
    widths_.push_back(width);
  }
  if (screen_.width) fit_screen();
}

// Takes what is too much from the widest flexible column, again and again.
void Table::fit_screen() {
  std::size_t total = gap * (widths_.size() - 1);
  for (const std::size_t width : widths_) total += width;
  while (total > *screen_.width) {
    std::optional<std::size_t> widest;
    for (std::size_t i = 0; i < widths_.size(); ++i) {
      if (columns_[i].flexible && widths_[i] > flexible_width_min &&
          (!widest || widths_[i] > widths_[*widest]))
        widest = i;
    }
    if (!widest) return;
    --widths_[*widest];
    --total;
  }
}

void Table::append_row(std::string& out, const Row& row) const {
  std::size_t blanks = 0;  // owed before the next text, so that no line ends in blanks
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const bool cut = columns_[i].flexible && screen_.width;
    const std::string text = cut ? cut_to_width(row[i].text, widths_[i]) : row[i].text;
    const std::size_t width = text_width(text);
    const std::size_t padding = widths_[i] > width ? widths_[i] - width : 0;
    if (columns_[i].number) blanks += padding;
    if (!text.empty()) {
      out.append(blanks, ' ');
      out.append(screen_.colours ? coloured(text, row[i].colour) : text);
      blanks = 0;
    }
    blanks += gap + (columns_[i].number ? 0 : padding);
  }
  out.push_back('\n');
}

std::string format_sheet(const std::vector<std::pair<std::string, std::string>>& lines) {
  std::size_t width = 0;
  for (const auto& [name, value] : lines)
    if (!value.empty()) width = std::max(width, text_width(name));
  std::string out;
  for (const auto& [name, value] : lines) {
    if (value.empty()) continue;
    std::string head = name + ":" + std::string(width - text_width(name) + gap, ' ');
    for (std::string_view rest = value; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      out.append(head).append(rest.substr(0, end)).push_back('\n');
      rest.remove_prefix(std::min(end + 1, rest.size()));
      head.assign(width + 1 + gap, ' ');
    }
  }
  return out;
}

}  // namespace poold::cli
