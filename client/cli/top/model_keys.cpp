// What each key does to the model.
#include <algorithm>
#include <cstdlib>

#include "client/cli/top/model.hpp"

namespace poold::cli::top {
namespace {

void drop_character(std::string& text) {
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) text.pop_back();
  if (!text.empty()) text.pop_back();
}

}  // namespace

std::optional<Wish> Model::press(const Key& key) {
  if (key.kind == Key::Kind::redraw) return Wish{Wish::What::redraw};
  message_.clear();
  if (question_) return press_in_question(key);
  if (typing_) {
    press_in_filter(key);
    return {};
  }
  if (sheet_) return press_in_sheet(key);
  if (move(key)) return {};
  switch (key.kind) {
    case Key::Kind::tab:
      view_ = views[(static_cast<std::size_t>(view_) + 1) % view_count];
      return {};
    case Key::Kind::back_tab:
      view_ = views[(static_cast<std::size_t>(view_) + view_count - 1) % view_count];
      return {};
    case Key::Kind::enter:
      if (view_ != View::pools) return about_task(Wish::What::show);
      if (const TopRow* row = selected()) {
        at(View::tasks).filter = row->pool;
        view_ = View::tasks;
        arrange(at(view_), view_);
      }
      return {};
    case Key::Kind::escape:
      at(view_).filter.clear();
      arrange(at(view_), view_);
      return {};
    case Key::Kind::text:
      return key.text.size() == 1 ? press_letter(key.text.front()) : std::nullopt;
    case Key::Kind::up:
    case Key::Kind::down:
    case Key::Kind::page_up:
    case Key::Kind::page_down:
    case Key::Kind::home:
    case Key::Kind::end:
    case Key::Kind::backspace:
    case Key::Kind::redraw:
      return {};
  }
  std::abort();
}

std::optional<Wish> Model::press_letter(char letter) {
  switch (letter) {
    case 'q':
      return Wish{Wish::What::quit};
    case 'p':
      view_ = View::pools;
      return {};
    case 'w':
      view_ = View::workers;
      return {};
    case 't':
      view_ = View::tasks;
      return {};
    case '/':
      typing_ = true;
      filter_before_ = at(view_).filter;
      return {};
    case 's':
      sort_by_next();
      return {};
    case 'S':
      at(view_).reversed = !at(view_).reversed;
      arrange(at(view_), view_);
      return {};
    case 'a':
      shows_ended_ = !shows_ended_;
      say(shows_ended_ ? "ended tasks, too" : "tasks that have not ended");
      return Wish{Wish::What::refresh};
    case ' ':
      return Wish{Wish::What::refresh};
    case 'c':
      return about_task(Wish::What::cancel);
    case 'r':
      return about_task(Wish::What::retry);
    case 'l':
      return about_task(Wish::What::log);
    case 'P':
    case '+':
    case '-':
      return about_pool(letter);
    case '?':
    case 'h':
      open({.kind = Sheet::Kind::help, .title = "Keys", .lines = help_lines()});
      return {};
    default:
      say(std::string("no such key: ") + letter + " (? lists them)", true);
      return {};
  }
}

std::optional<Wish> Model::about_task(Wish::What what) {
  const TopRow* row = selected();
  if (!row || row->task.empty()) {
    const char* hint = view_ == View::pools ? "choose a task first: t goes to the tasks" : "no task here";
    say(row ? hint : "nothing is chosen", true);
    return {};
  }
  Wish wish{what, row->task, view_ == View::tasks ? row->name : row->task};
  if (what != Wish::What::cancel) return wish;
  question_ = Question{"cancel " + wish.name + "?", wish};
  return {};
}

std::optional<Wish> Model::about_pool(char letter) {
  const TopRow* row = selected();
  if (!row) {
    say("nothing is chosen", true);
    return {};
  }
  const auto& pools = at(View::pools).rows;
  const auto pool = std::ranges::find(pools, row->pool, &TopRow::id);
  if (pool == pools.end()) {
    say("there is no such pool any more", true);
    return {};
  }
  if (letter == 'P')
    return Wish{pool->stopped ? Wish::What::resume : Wish::What::pause, pool->id, pool->name};
  if (letter == '-' && pool->workers == 0) {
    say("pool " + pool->name + " has no workers", true);
    return {};
  }
  const std::uint32_t workers = letter == '+' ? pool->workers + 1 : pool->workers - 1;
  Wish wish{Wish::What::scale, pool->id, pool->name, workers};
  if (workers > 0) return wish;
  question_ = Question{"leave pool " + wish.name + " without workers?", wish};
  return {};
}

std::optional<Wish> Model::press_in_question(const Key& key) {
  const Question question = *question_;
  if (key.kind == Key::Kind::text && (key.text == "y" || key.text == "Y")) {
    question_.reset();
    return question.wish;
  }
  const bool no = key.kind == Key::Kind::escape ||
                  (key.kind == Key::Kind::text && (key.text == "n" || key.text == "N" || key.text == "q"));
  if (no) {
    question_.reset();
    say("nothing was done");
  }
  return {};
}

void Model::press_in_filter(const Key& key) {
  std::string& filter = at(view_).filter;
  if (key.kind == Key::Kind::text) filter.append(key.text);
  if (key.kind == Key::Kind::backspace) drop_character(filter);
  if (key.kind == Key::Kind::escape) filter = filter_before_;
  if (key.kind == Key::Kind::escape || key.kind == Key::Kind::enter) typing_ = false;
  arrange(at(view_), view_);
}

// No column, then each in turn.
void Model::sort_by_next() {
  Table& table = at(view_);
  const std::size_t next = table.sort ? *table.sort + 1 : 0;
  table.sort = next < columns(view_).size() ? std::optional(next) : std::nullopt;
  table.reversed = false;
  arrange(table, view_);
  say(table.sort ? std::string("sorted by ") + columns(view_)[next].title : "in the daemon's order");
}

void Model::move_to(std::ptrdiff_t row) {
  Table& table = at(view_);
  const auto last = static_cast<std::ptrdiff_t>(table.shown.size()) - 1;
  table.cursor = static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, std::min(row, last)));
}

bool Model::move(const Key& key) {
  const auto row = static_cast<std::ptrdiff_t>(at(view_).cursor);
  const auto page = static_cast<std::ptrdiff_t>(at(view_).page);
  const auto size = static_cast<std::ptrdiff_t>(at(view_).shown.size());
  const bool text = key.kind == Key::Kind::text;
  if (key.kind == Key::Kind::up || (text && key.text == "k"))
    move_to(row - 1);
  else if (key.kind == Key::Kind::down || (text && key.text == "j"))
    move_to(row + 1);
  else if (key.kind == Key::Kind::page_up)
    move_to(row - page);
  else if (key.kind == Key::Kind::page_down)
    move_to(row + page);
  else if (key.kind == Key::Kind::home || (text && key.text == "g"))
    move_to(0);
  else if (key.kind == Key::Kind::end || (text && key.text == "G"))
    move_to(size - 1);
  else
    return false;
  return true;
}

std::optional<Wish> Model::press_in_sheet(const Key& key) {
  const bool text = key.kind == Key::Kind::text;
  const bool close = key.kind == Key::Kind::escape || key.kind == Key::Kind::enter ||
                     (text && key.text == "q") || (text && key.text == "?") || (text && key.text == "h");
  if (close) {
    sheet_.reset();
    return {};
  }
  std::size_t& first = sheet_->first;
  const std::size_t last = sheet_->lines.size() > sheet_page_ ? sheet_->lines.size() - sheet_page_ : 0;
  if (key.kind == Key::Kind::up || (text && key.text == "k"))
    first -= std::min<std::size_t>(first, 1);
  else if (key.kind == Key::Kind::down || (text && key.text == "j"))
    first = std::min(first + 1, last);
  else if (key.kind == Key::Kind::page_up)
    first -= std::min(first, sheet_page_);
  else if (key.kind == Key::Kind::page_down || (text && key.text == " "))
    first = std::min(first + sheet_page_, last);
  else if (key.kind == Key::Kind::home || (text && key.text == "g"))
    first = 0;
  else if (key.kind == Key::Kind::end || (text && key.text == "G"))
    first = last;
  if (sheet_->kind == Sheet::Kind::log) sheet_->at_end = first == last;
  return {};
}

std::vector<std::string> help_lines() {
  return {
      "Tab, p, w, t        pools, workers, tasks",
      "arrows, j, k        move; PgUp, PgDn, Home, End (g, G)",
      "Enter               show the task; of a pool: its tasks",
      "l                   the end of the task's log, as it grows",
      "/                   filter: words that a row must have; Esc ends it",
      "s, S                sort by the next column; the other way round",
      "a                   ended tasks, too",
      "",
      "c                   cancel the task (asks)",
      "r                   run the task once more that failed or was cancelled",
      "P                   pause the pool, or resume it",
      "+, -                one worker more, one less",
      "",
      "Space               look again now; Ctrl-L draws anew",
      "?                   this page",
      "q                   leave, or close a page",
  };
}

}  // namespace poold::cli::top
