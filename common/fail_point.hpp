// Places in the daemon at which a test may kill it: before and after each thing that must not be torn in two.
//
// They are there in builds for tests only (POOLD_FAIL_POINTS); elsewhere pass() is nothing at all. A test
// names a file in the environment variable POOLD_FAILPOINTS. Engine and supervisor map it, so that a test can
// arm a point while they run, a point can kill several engines in a row, and what a dead process counted is
// still there. tests/integration/test_failpoints.py is the other side; `poold --list-failpoints` prints the
// list.
//
// Only here and in the calls of pass(): nothing decides anything by them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace poold {

#ifdef POOLD_FAIL_POINTS
inline constexpr bool fail_points_built = true;
#else
inline constexpr bool fail_points_built = false;
#endif

// In the order of a task's way, then of a recovery's.
enum class FailPoint : std::uint8_t {
  submission_read,
  turn_decided,
  rows_made,
  rows_given,
  commit_begins,
  submission_row_written,
  state_row_written,
  large_body_unwritten,
  task_half_dropped,
  rows_uncommitted,
  rows_committed,
  commit_told,
  commit_heard,
  result_unacknowledged,
  result_acknowledged,
  acceptance_untold,
  attempt_recorded,
  attempt_dispatched,
  workers_written_to,
  clients_written_to,
  cancel_unsaid,
  result_read,
  result_handled,
  outcome_untold,
  record_forgotten,
  store_opened,
  store_loading,
  store_loaded,
  worker_adopted,
  task_recovered,
  ended_task_recovered,
  tasks_recovered,
  socket_served,
  worker_said_again,
  engine_begun,
  engine_death_seen,
};

struct FailPointText {
  std::string_view name;
  // Whose death it is, and whether it is passed while a new engine finds its feet.
  std::string_view process;
  bool in_recovery;
  std::string_view place;
};

inline constexpr std::array fail_points = std::to_array<FailPointText>({
    {"submission-read", "engine", false, "a submission was read and not yet handled"},
    {"turn-decided", "engine", false, "a turn was decided, nothing of it done"},
    {"rows-made", "engine", false, "a turn's rows were made and not given to the store's thread"},
    {"rows-given", "engine", false, "a turn's rows were given to the store's thread"},
    {"commit-begins", "engine", false, "the store's thread took rows and has not begun to write"},
    {"submission-row-written", "engine", false, "a submission's row was written within a transaction"},
    {"state-row-written", "engine", false, "a state's row was written within a transaction"},
    {"large-body-unwritten", "engine", false, "between a large result's state and its body"},
    {"task-half-dropped", "engine", false, "between dropping a task's submission and its state"},
    {"rows-uncommitted", "engine", false, "every row of a transaction was written, it was not committed"},
    {"rows-committed", "engine", false, "a transaction was committed, the loop not yet told"},
    {"commit-told", "engine", false, "the loop was told of a commit and has not heard it"},
    {"commit-heard", "engine", false, "the loop heard of a commit: between the commit and every reply"},
    {"result-unacknowledged", "engine", false, "a result was committed, its worker not told"},
    {"result-acknowledged", "engine", false, "a result's worker was told, its client was not"},
    {"acceptance-untold", "engine", false, "a submission was committed and is about to be answered"},
    {"attempt-recorded", "engine", false, "an attempt was recorded and not dispatched"},
    {"attempt-dispatched", "engine", false, "an attempt's task was put into its worker's buffer"},
    {"workers-written-to", "engine", false, "workers were written to, clients not yet"},
    {"clients-written-to", "engine", false, "a turn's answers were written"},
    {"cancel-unsaid", "engine", false, "a cancel was recorded and not said to the worker"},
    {"result-read", "engine", false, "a result was read and not handled"},
    {"result-handled", "engine", false, "a result was handled: between reading it and committing it"},
    {"outcome-untold", "engine", false, "an outcome was committed and is about to be told"},
    {"record-forgotten", "engine", false, "an ended task was forgotten, its row not dropped"},
    {"store-opened", "engine", true, "the store was opened and not read"},
    {"store-loading", "engine", true, "a task was read from the store, others were not"},
    {"store-loaded", "engine", true, "the store was read"},
    {"worker-adopted", "engine", true, "a living worker was taken over"},
    {"task-recovered", "engine", true, "a task that had not ended was put back"},
    {"ended-task-recovered", "engine", true, "a task that had ended was put back"},
    {"tasks-recovered", "engine", true, "all tasks were put back, the socket not yet served"},
    {"socket-served", "engine", true, "the socket is served, the supervisor was not told"},
    {"worker-said-again", "engine", true, "a living worker said again what it owes"},
    {"engine-begun", "supervisor", true, "an engine was started, living workers have no pipes yet"},
    {"engine-death-seen", "supervisor", true, "an engine's death was seen, the next is not planned"},
});
static_assert(fail_points.size() == static_cast<std::size_t>(FailPoint::engine_death_seen) + 1);

// What the test and the process share of one point, in the file that POOLD_FAILPOINTS names.
struct FailPointCell {
  std::int64_t countdown;  // the passage at which it kills, counted down; 0 or less: none
  std::int64_t count;      // what the countdown begins with again after a kill
  std::int64_t kills;      // so many are left
  std::int64_t passed;     // so often it was passed
  std::int64_t killed;     // so often it killed
};

// Ends the process here if this point is armed and due.
#ifdef POOLD_FAIL_POINTS
void pass(FailPoint point);
#else
inline void pass(FailPoint) {}
#endif

}  // namespace poold
