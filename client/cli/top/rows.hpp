// The three tables of top: which columns they have, and their rows. Pure. What fits and what is marked is
// frame.cpp's business, which row the cursor is at model.cpp's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/cli/table.hpp"
#include "client/cli/top/snapshot.hpp"

namespace poold::cli::top {

enum class View { pools, workers, tasks };
inline constexpr std::size_t view_count = 3;
inline constexpr View views[view_count] = {View::pools, View::workers, View::tasks};

struct TopColumn {
  const char* title;
  bool number = false;    // set to the right; sorted from the greatest on
  bool flexible = false;  // may be cut
  int rank = 0;           // on a narrow screen the highest goes first; 0 stays
};

struct TopCell {
  Cell cell;
  std::optional<double> number;  // by which it is sorted, else by its text
};

struct TopRow {
  std::string id;  // of the pool, slot or task; stays the same from one snapshot to the next
  std::vector<TopCell> cells;
  std::string searched;  // what a filter looks at, besides the cells
  std::string pool;
  std::string task;           // its id; empty: none
  std::string name;           // for questions and answers
  std::uint32_t workers = 0;  // of a pool
  bool stopped = false;       // of a pool: paused or draining
};

const std::vector<TopColumn>& columns(View view);
const char* title(View view);
// In the daemon's order; of tasks, those that run first, then by age.
std::vector<TopRow> rows(View view, const Snapshot& snapshot, const Rates& rates);

}  // namespace poold::cli::top
