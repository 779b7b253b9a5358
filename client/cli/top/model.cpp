#include "client/cli/top/model.hpp"

#include <algorithm>
#include <cctype>

namespace poold::cli::top {
namespace {

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Every word of the filter stands somewhere in the row.
bool matches(const TopRow& row, const std::string& filter) {
  std::string all = row.searched;
  for (const TopCell& cell : row.cells) all.append(" ").append(cell.cell.text);
  all = lower(std::move(all));
  const std::string wanted = lower(filter);
  for (std::size_t begin = 0, end; begin < wanted.size(); begin = end + 1) {
    end = std::min(wanted.find(' ', begin), wanted.size());
    if (all.find(wanted.substr(begin, end - begin)) == all.npos) return false;
  }
  return true;
}

// Numbers from the greatest on, texts from A on.
bool comes_before(const TopCell& a, const TopCell& b) {
  if (a.number && b.number) return *a.number > *b.number;
  return a.cell.text < b.cell.text;
}

}  // namespace

void Model::take(Snapshot snapshot) {
  rates_ = rates_between(snapshot_, snapshot);
  snapshot_ = std::move(snapshot);
  lost_.reset();
  for (const View view : views) {
    at(view).rows = rows(view, snapshot_, rates_);
    arrange(at(view), view);
  }
}

void Model::lose(std::string why) {
  lost_ = std::move(why);
  rates_ = {};
}

void Model::say(std::string text, bool wrong) {
  message_ = std::move(text);
  message_wrong_ = wrong;
}

void Model::open(Sheet sheet) {
  sheet.first = 0;
  sheet_ = std::move(sheet);
}

void Model::add_lines(const std::string& id, std::vector<std::string> lines) {
  if (!sheet_ || sheet_->kind != Sheet::Kind::log || sheet_->id != id) return;
  sheet_->lines = std::move(lines);
}

// The cursor stays at its row, wherever that has gone.
void Model::arrange(Table& table, View view) {
  const std::string kept = table.cursor < table.shown.size() ? table.shown[table.cursor].id : "";
  table.shown.clear();
  std::ranges::copy_if(table.rows, std::back_inserter(table.shown),
                       [&](const TopRow& row) { return matches(row, table.filter); });
  if (table.sort && *table.sort < columns(view).size())
    std::ranges::stable_sort(table.shown, [&](const TopRow& a, const TopRow& b) {
      const TopCell& first = a.cells[*table.sort];
      const TopCell& second = b.cells[*table.sort];
      return table.reversed ? comes_before(second, first) : comes_before(first, second);
    });
  const auto found = std::ranges::find(table.shown, kept, &TopRow::id);
  if (!kept.empty() && found != table.shown.end())
    table.cursor = static_cast<std::size_t>(found - table.shown.begin());
  if (table.cursor >= table.shown.size()) table.cursor = table.shown.empty() ? 0 : table.shown.size() - 1;
}

const TopRow* Model::selected() const {
  const Table& table = at(view_);
  return table.cursor < table.shown.size() ? &table.shown[table.cursor] : nullptr;
}

std::optional<std::string> Model::prompt() const {
  if (question_) return question_->text + " (y/n) ";
  if (typing_) return "filter: " + at(view_).filter;
  return {};
}

void Model::fit(View view, std::size_t rows) {
  Table& table = at(view);
  table.page = std::max<std::size_t>(rows, 1);
  if (table.cursor < table.first) table.first = table.cursor;
  if (table.cursor >= table.first + table.page) table.first = table.cursor + 1 - table.page;
  // No empty room at the end while there are rows above.
  const std::size_t last = table.shown.size() > table.page ? table.shown.size() - table.page : 0;
  table.first = std::min(table.first, last);
}

void Model::fit_sheet(std::size_t lines) {
  sheet_page_ = std::max<std::size_t>(lines, 1);
  if (!sheet_) return;
  const std::size_t last = sheet_->lines.size() > sheet_page_ ? sheet_->lines.size() - sheet_page_ : 0;
  sheet_->first = sheet_->at_end ? last : std::min(sheet_->first, last);
}

}  // namespace poold::cli::top
