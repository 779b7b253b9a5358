// What top shows and what a key does to that: which table is in front, where its cursor is, filters, order,
// questions and the sheet that lies over the tables. Pure: snapshots and keys in, wishes for the daemon out;
// it draws nothing (frame.cpp), asks nobody (desk.cpp) and knows no terminal (terminal.cpp), so tests need
// none either.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/top/rows.hpp"
#include "client/cli/top/snapshot.hpp"

namespace poold::cli::top {

struct Key {
  enum class Kind {
    text,  // a printable character
    up,
    down,
    page_up,
    page_down,
    home,
    end,
    tab,
    back_tab,
    enter,
    escape,
    backspace,
    redraw,  // Ctrl-L
  };
  Kind kind = Kind::text;
  std::string text = {};  // one character of UTF-8
};

// What the user wants of the outside.
struct Wish {
  enum class What { quit, redraw, refresh, show, log, cancel, retry, pause, resume, scale };
  What what = What::refresh;
  std::string id = {};        // of a task, or a pool's name
  std::string name = {};      // for the answer at the bottom
  std::uint32_t workers = 0;  // scale
};

// Lines over the tables, to be read and closed.
struct Sheet {
  enum class Kind { help, task, log };
  Kind kind = Kind::help;
  std::string id = {};     // of the task
  std::string title = {};  // escaped
  std::vector<std::string> lines = {};
  std::size_t first = 0;  // the topmost line that is shown
  bool at_end = false;    // stays at the end as lines are added
};

class Model {
 public:
  // --- What comes from outside. ---
  void take(Snapshot snapshot);
  // The daemon cannot be asked; what was known stays on the screen.
  void lose(std::string why);
  void say(std::string text, bool wrong = false);
  void open(Sheet sheet);
  // More of the log that is open; ignored if it is not any more.
  void add_lines(const std::string& id, std::vector<std::string> lines);
  std::optional<Wish> press(const Key& key);

  // --- What drawing looks at. ---
  const Snapshot& snapshot() const { return snapshot_; }
  const Rates& rates() const { return rates_; }
  const std::optional<std::string>& lost() const { return lost_; }
  View view() const { return view_; }
  // The rows that pass the filter, in the order asked for.
  const std::vector<TopRow>& shown(View view) const { return at(view).shown; }
  // How many there are without the filter.
  std::size_t all(View view) const { return at(view).rows.size(); }
  std::size_t cursor(View view) const { return at(view).cursor; }
  std::size_t first(View view) const { return at(view).first; }
  const std::string& filter(View view) const { return at(view).filter; }
  std::optional<std::size_t> sort_column(View view) const { return at(view).sort; }
  bool sort_reversed(View view) const { return at(view).reversed; }
  bool shows_ended() const { return shows_ended_; }
  const std::optional<Sheet>& sheet() const { return sheet_; }
  // What is typed or asked at the bottom; none: nothing.
  std::optional<std::string> prompt() const;
  bool typing() const { return typing_; }
  const std::string& message() const { return message_; }
  bool message_is_wrong() const { return message_wrong_; }

  // How many rows of a table, and lines of the sheet, have room: moves what is shown so that the cursor is
  // among it.
  void fit(View view, std::size_t rows);
  void fit_sheet(std::size_t lines);

 private:
  struct Table {
    std::vector<TopRow> rows;
    std::vector<TopRow> shown;
    std::size_t cursor = 0;
    std::size_t first = 0;
    std::size_t page = 1;
    std::string filter;
    std::optional<std::size_t> sort;
    bool reversed = false;
  };
  struct Question {
    std::string text;
    Wish wish;
  };

  Table& at(View view) { return tables_[static_cast<std::size_t>(view)]; }
  const Table& at(View view) const { return tables_[static_cast<std::size_t>(view)]; }
  void arrange(Table& table, View view);
  const TopRow* selected() const;
  std::optional<Wish> press_in_sheet(const Key& key);
  std::optional<Wish> press_in_question(const Key& key);
  void press_in_filter(const Key& key);
  std::optional<Wish> press_letter(char letter);
  bool move(const Key& key);
  void move_to(std::ptrdiff_t row);
  void sort_by_next();
  std::optional<Wish> about_task(Wish::What what);
  std::optional<Wish> about_pool(char letter);

  Snapshot snapshot_;
  Rates rates_;
  std::optional<std::string> lost_;
  std::array<Table, view_count> tables_;
  View view_ = View::tasks;
  std::optional<Sheet> sheet_;
  std::size_t sheet_page_ = 1;
  std::optional<Question> question_;
  bool typing_ = false;
  std::string filter_before_;  // to which Escape goes back
  bool shows_ended_ = false;
  std::string message_;
  bool message_wrong_ = false;
};

// What `?` shows.
std::vector<std::string> help_lines();

}  // namespace poold::cli::top
