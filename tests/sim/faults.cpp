#include "tests/sim/faults.hpp"

#include <cstdlib>

namespace poold::sim {

std::string_view name(Fault fault) {
  switch (fault) {
    case Fault::start_fails:
      return "a worker cannot be started";
    case Fault::worker_killed:
      return "a worker is killed";
    case Fault::worker_exits:
      return "a worker exits by itself";
    case Fault::worker_hangs:
      return "a worker hangs";
    case Fault::worker_ignores_cancel:
      return "a worker ignores a cancel";
    case Fault::worker_closes_pipe:
      return "a worker closes its results";
    case Fault::worker_sends_garbage:
      return "a worker sends garbage";
    case Fault::worker_says_hello_twice:
      return "a worker says hello twice";
    case Fault::news_of_the_dead:
      return "news of a dead generation";
    case Fault::result_of_other_attempt:
      return "a result of another attempt";
    case Fault::result_of_unknown_task:
      return "a result of an unknown task";
    case Fault::result_impossible:
      return "a result that no worker can know";
    case Fault::result_out_of_order:
      return "a result out of order";
    case Fault::result_twice:
      return "a result twice";
    case Fault::result_cancelled_by_nobody:
      return "a result CANCELLED that nobody asked for";
    case Fault::task_forgotten:
      return "a worker forgets a task";
    case Fault::returns_what_was_not_asked:
      return "a worker returns what was not asked back";
    case Fault::returns_what_runs:
      return "a worker returns what it runs";
    case Fault::output_of_other_task:
      return "output of another task";
    case Fault::frame_torn:
      return "a frame arrives in pieces";
    case Fault::frames_joined:
      return "several frames arrive at once";
    case Fault::frames_late:
      return "a frame is on its way for some time";
    case Fault::frame_lost:
      return "a worker dies in the middle of a frame";
    case Fault::commit_late:
      return "a commit is late";
    case Fault::commit_unheard:
      return "the engine dies after a commit that it has not heard of";
    case Fault::commit_lost:
      return "the engine dies before a commit";
    case Fault::store_full:
      return "the store can take nothing";
    case Fault::submission_unaccepted:
      return "a submission is refused while it waits for the store";
    case Fault::durable_engine_crashes:
      return "an engine with durable pools crashes";
    case Fault::worker_adopted:
      return "a worker outlives its engine";
    case Fault::adopted_dies:
      return "a worker dies before it met its new engine";
    case Fault::last_words:
      return "a dead worker's last words are read";
    case Fault::result_said_again:
      return "a result is said again to a new engine";
    case Fault::client_vanishes:
      return "a client vanishes";
    case Fault::client_repeats_key:
      return "a client repeats a key";
    case Fault::client_reuses_key:
      return "a client reuses a key for something else";
    case Fault::client_cancels_late:
      return "a client cancels what has ended";
    case Fault::engine_crashes:
      return "the engine crashes";
    case Fault::clock_late:
      return "deadlines are noticed late";
  }
  std::abort();
}

}  // namespace poold::sim
