#include "client/cli/top/frame.hpp"

#include <algorithm>
#include <cmath>

#include "client/cli/reading.hpp"
#include "client/cli/text.hpp"
#include "client/cli/top/columns.hpp"
#include "client/cpp/src/task_proto.hpp"

namespace poold::cli::top {
namespace {

constexpr std::size_t gap = 2;                  // between two columns
constexpr std::size_t flexible_width_min = 12;  // of a column that may be cut, before others are left out

std::size_t width_of(const FrameLine& line) {
  std::size_t width = 0;
  for (const Span& span : line) width += columns_of(span.text);
  return width;
}

// What stands beyond the screen is left out.
FrameLine cut(FrameLine line, std::size_t width) {
  FrameLine kept;
  std::size_t used = 0;
  for (Span& span : line) {
    if (used >= width) break;
    span.text = cut_to_columns(span.text, width - used);
    used += columns_of(span.text);
    kept.push_back(std::move(span));
  }
  return kept;
}

// The parts that fit, with two blanks between them; the first is shown in any case.
FrameLine joined(const std::vector<FrameLine>& parts, std::size_t width) {
  FrameLine line;
  for (const FrameLine& part : parts) {
    const std::size_t more = width_of(part) + (line.empty() ? 0 : gap);
    if (!line.empty() && width_of(line) + more > width) break;
    if (!line.empty()) line.push_back({std::string(gap, ' ')});
    line.insert(line.end(), part.begin(), part.end());
  }
  return cut(std::move(line), width);
}

FrameLine counted(const std::string& label, std::uint64_t number, Colour colour = Colour::none) {
  return {{label + " ", Colour::none, false, false, true},
          {short_number(number), number ? colour : Colour::none, number > 0 && colour != Colour::none}};
}

FrameLine status_line(const Model& model, std::size_t width) {
  if (model.lost()) return cut({{escaped_line(*model.lost()), Colour::red, true}}, width);
  const Snapshot& snapshot = model.snapshot();
  std::vector<FrameLine> parts{{{"poold " + escaped_line(snapshot.info.version()), Colour::none, true}}};
  if (snapshot.info.stopping()) parts.push_back({{"stopping", Colour::yellow, true}});
  if (snapshot.own_only) parts.push_back({{"your tasks only", Colour::yellow}});
  if (snapshot.info.has_started_at())
    parts.push_back({{"up ", Colour::none, false, false, true},
                     {short_duration(snapshot.at - from_proto(snapshot.info.started_at()))}});
  const Rates& rates = model.rates();
  if (rates.load)
    parts.push_back({{"load ", Colour::none, false, false, true},
                     {std::to_string(std::lround(*rates.load * 100)) + "%",
                      *rates.load > 0.8 ? Colour::yellow : Colour::none}});
  if (rates.tasks)
    parts.push_back({{short_rate(*rates.tasks)}, {" tasks/s", Colour::none, false, false, true}});
  if (snapshot.info.engine_restarts() > 0)
    parts.push_back(counted("engine restarts", snapshot.info.engine_restarts(), Colour::yellow));
  return joined(parts, width);
}

FrameLine totals_line(const Model& model, std::size_t width) {
  const Totals totals = totals_of(model.snapshot());
  return joined({counted("running", totals.running, Colour::cyan), counted("queued", totals.queued),
                 counted("waiting", totals.waiting), counted("failed", totals.failed, Colour::red),
                 counted("succeeded", totals.succeeded)},
                width);
}

std::string count_text(const Model& model, View view) {
  const std::size_t shown = model.shown(view).size();
  const std::size_t all = model.all(view);
  std::string text = std::string(title(view)) + " " + std::to_string(shown);
  if (shown != all) text += " of " + std::to_string(all);
  if (view == View::tasks && model.snapshot().more_tasks) text += "+";
  return text;
}

std::string choice_text(const Model& model, View view) {
  std::string text;
  if (!model.filter(view).empty()) text += "  filter: " + escaped_line(model.filter(view));
  if (const auto sort = model.sort_column(view)) {
    text += std::string("  by ") + columns(view)[*sort].title;
    if (model.sort_reversed(view)) text += " reversed";
  }
  return text;
}

FrameLine rule_line(const Model& model, View view, std::size_t width) {
  const bool front = view == model.view();
  FrameLine line{{(front ? "▶ " : "  ") + count_text(model, view), Colour::none, true, false, !front}};
  line.push_back({choice_text(model, view), Colour::yellow});
  return cut(std::move(line), width);
}

FrameLine tabs_line(const Model& model, std::size_t width) {
  FrameLine line;
  for (const View view : views) {
    const bool front = view == model.view();
    line.push_back({" " + count_text(model, view) + " ", Colour::none, front, front, !front});
  }
  line.push_back({choice_text(model, model.view()), Colour::yellow});
  return cut(std::move(line), width);
}

// Which columns are shown, and how wide each is; 0: left out.
std::vector<std::size_t> fit_columns(View view, const std::vector<TopRow>& rows,
                                     std::optional<std::size_t> width) {
  const auto& all = columns(view);
  std::vector<std::size_t> natural;
  for (std::size_t i = 0; i < all.size(); ++i) {
    natural.push_back(columns_of(all[i].title));
    for (const TopRow& row : rows) natural[i] = std::max(natural[i], columns_of(row.cells[i].cell.text));
  }
  if (!width) return natural;
  std::vector<bool> shown(all.size(), true);
  const auto total = [&](const std::vector<std::size_t>& widths) {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < widths.size(); ++i)
      if (shown[i]) sum += widths[i] + (sum ? gap : 0);
    return sum;
  };
  std::vector<std::size_t> least = natural;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i].flexible) least[i] = std::min(least[i], flexible_width_min);
  while (total(least) > *width) {
    std::size_t worst = 0;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (shown[i] && all[i].rank > 0 && (!shown[worst] || all[i].rank > all[worst].rank)) worst = i;
    if (!shown[worst] || all[worst].rank == 0) break;
    shown[worst] = false;
  }
  std::vector<std::size_t> widths = natural;
  while (total(widths) > *width) {
    std::optional<std::size_t> widest;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (shown[i] && all[i].flexible && widths[i] > 4 && (!widest || widths[i] > widths[*widest]))
        widest = i;
    if (!widest) break;
    --widths[*widest];
  }
  for (std::size_t i = 0; i < all.size(); ++i)
    if (!shown[i]) widths[i] = 0;
  return widths;
}

FrameLine table_line(View view, const std::vector<std::size_t>& widths, const std::vector<Cell>& cells) {
  const auto& all = columns(view);
  FrameLine line;
  std::size_t blanks = 0;  // owed before the next text, so that no line ends in blanks
  bool first = true;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (widths[i] == 0) continue;
    if (!std::exchange(first, false)) blanks += gap;
    const std::string text = cut_to_columns(cells[i].text, widths[i]);
    const std::size_t padding = widths[i] - std::min(widths[i], columns_of(text));
    if (all[i].number) blanks += padding;
    if (!text.empty()) {
      if (blanks > 0) line.push_back({std::string(blanks, ' ')});
      line.push_back({text, cells[i].colour});
      blanks = 0;
    }
    if (!all[i].number) blanks += padding;
  }
  return line;
}

FrameLine titles_line(const Model& model, View view, const std::vector<std::size_t>& widths) {
  std::vector<Cell> cells;
  for (const TopColumn& column : columns(view)) cells.push_back({column.title});
  FrameLine line = table_line(view, widths, cells);
  const auto sort = model.sort_column(view);
  for (Span& span : line) {
    span.dim = true;
    span.bold = sort && span.text == columns(view)[*sort].title;
  }
  return line;
}

FrameLine row_line(View view, const std::vector<std::size_t>& widths, const TopRow& row) {
  std::vector<Cell> cells;
  for (const TopCell& cell : row.cells) cells.push_back(cell.cell);
  return table_line(view, widths, cells);
}

// The cursor's bar, over the whole width.
FrameLine marked(FrameLine line, std::size_t width) {
  line = cut(std::move(line), width);
  const std::size_t used = width_of(line);
  if (used < width) line.push_back({std::string(width - used, ' ')});
  for (Span& span : line) span.reversed = true;
  return line;
}

// Titles and so many rows; fewer where there are no more.
void add_table(Frame& frame, Model& model, View view, std::size_t height, std::size_t width) {
  if (height == 0) return;
  model.fit(view, height - 1);
  const auto& rows = model.shown(view);
  const auto widths = fit_columns(view, rows, width);
  frame.lines.push_back(cut(titles_line(model, view, widths), width));
  for (std::size_t i = 0; i + 1 < height && model.first(view) + i < rows.size(); ++i) {
    const std::size_t at = model.first(view) + i;
    FrameLine line = row_line(view, widths, rows[at]);
    const bool here = view == model.view() && at == model.cursor(view);
    frame.lines.push_back(here ? marked(std::move(line), width) : cut(std::move(line), width));
  }
  if (rows.empty() && height > 1) {
    const bool filtered = model.all(view) > 0;
    const std::string text = filtered ? "no row has that (Esc ends the filter)" : "none";
    frame.lines.push_back(cut({{text, Colour::none, false, false, true}}, width));
  }
}

// All three under one another. Each has a line above it, titles, and, but for the last, a blank line below
// it. Pools and workers have what they want unless the tasks then have less than half.
void add_all_tables(Frame& frame, Model& model, std::size_t height, std::size_t width) {
  constexpr std::size_t lines_beside_rows = 3 * view_count - 1;
  const std::size_t room = height - lines_beside_rows;
  const auto wanted = [&](View view) { return std::max<std::size_t>(model.shown(view).size(), 1); };
  const std::size_t pools = std::min(wanted(View::pools), std::max<std::size_t>(2, room / 4));
  const std::size_t tasks = std::min(wanted(View::tasks), room / 2);
  const std::size_t workers = std::min(wanted(View::workers), room - pools - tasks);
  for (const View view : views) {
    const std::size_t rows = view == View::pools     ? pools
                             : view == View::workers ? workers
                                                     : room - pools - workers;
    frame.lines.push_back(rule_line(model, view, width));
    add_table(frame, model, view, rows + 1, width);
    if (view != View::tasks) frame.lines.emplace_back();
  }
}

void add_sheet(Frame& frame, Model& model, std::size_t height, std::size_t width) {
  model.fit_sheet(height > 0 ? height - 1 : 0);
  const Sheet& sheet = *model.sheet();
  frame.lines.push_back(marked({{" " + sheet.title, Colour::none, true}}, width));
  for (std::size_t i = sheet.first; i < sheet.lines.size() && i + 1 < sheet.first + height; ++i)
    frame.lines.push_back(cut({{sheet.lines[i]}}, width));
  if (sheet.lines.empty() && height > 1)
    frame.lines.push_back(cut({{"nothing yet", Colour::none, false, false, true}}, width));
}

FrameLine bottom_line(const Model& model, std::size_t width) {
  if (!model.message().empty())
    return cut({{model.message(), model.message_is_wrong() ? Colour::red : Colour::none, true}}, width);
  if (model.sheet())
    return joined({{{"q closes", Colour::none, false, false, true}},
                   {{"arrows move", Colour::none, false, false, true}}},
                  width);
  std::vector<FrameLine> hints;
  for (const char* hint : {"? help", "q quit", "Tab next table", "/ filter", "s sort", "Enter show", "l log",
                           "c cancel", "r retry", "P pause", "+ - scale"})
    hints.push_back({{hint, Colour::none, false, false, true}});
  return joined(hints, width);
}

}  // namespace

Frame draw(Model& model, Size size) {
  Frame frame;
  const std::size_t width = std::max<std::size_t>(size.width, 1);
  const std::size_t height = std::max<std::size_t>(size.height, 1);
  const std::size_t body_end = height > 2 ? height - 1 : height;
  frame.lines.push_back(status_line(model, width));
  if (height >= 8) frame.lines.push_back(totals_line(model, width));
  if (height >= 14) frame.lines.emplace_back();
  const bool together = height >= 22 && !model.sheet();
  if (height >= 7 && !together && !model.sheet()) frame.lines.push_back(tabs_line(model, width));
  const std::size_t room = body_end - std::min(body_end, frame.lines.size());
  if (model.sheet())
    add_sheet(frame, model, room, width);
  else if (together)
    add_all_tables(frame, model, room, width);
  else
    add_table(frame, model, model.view(), room, width);
  frame.lines.resize(body_end);
  if (height == body_end) return frame;
  if (const auto prompt = model.prompt()) {
    frame.lines.push_back(cut({{escaped_line(*prompt), Colour::none, true}}, width - 1));
    frame.caret_column = width_of(frame.lines.back());
  } else {
    frame.lines.push_back(bottom_line(model, width));
  }
  return frame;
}

std::vector<FrameLine> draw_once(const Model& model, std::optional<std::size_t> width) {
  constexpr std::size_t unlimited = 1'000'000;
  const std::size_t most = width.value_or(unlimited);
  std::vector<FrameLine> lines{status_line(model, most), totals_line(model, most)};
  for (const View view : views) {
    lines.emplace_back();
    lines.push_back({{count_text(model, view), Colour::none, true}});
    const auto widths = fit_columns(view, model.shown(view), width);
    lines.push_back(cut(titles_line(model, view, widths), most));
    for (const TopRow& row : model.shown(view)) lines.push_back(cut(row_line(view, widths, row), most));
  }
  return lines;
}

std::string to_text(const FrameLine& line, bool colours) {
  std::string text;
  for (const Span& span : line) text += colours ? coloured(span.text, span.colour) : span.text;
  return text;
}

}  // namespace poold::cli::top
