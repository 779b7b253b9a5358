// What the two threads of a function worker share: the frames that came in, the results that go out, and the
// number of the running task. The executor holds the mutex at all times except while a function runs; then
// the watcher may take it and do the same work.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "client/cpp/poold/detail/plugin.hpp"
#include "client/cpp/src/held_tasks.hpp"
#include "client/cpp/src/worker_channel.hpp"
#include "common/frame.hpp"
#include "poold/v1/worker.pb.h"

namespace poold::worker {

class Exchange {
 public:
  std::mutex mutex;  // for everything below except `cancelled`

  // Results, waiting to be written.
  Outbox outbox;
  // 1 while the running task is asked to end.
  plugin::CancelledFlag cancelled{0};

  enum class Next { task, nothing, broken };
  // The next task's frame, in order; frames about other things are acted on when their turn comes. The frame
  // is valid until the mutex is given up. Broken: what came in is no protocol; the reason is on stderr.
  Next next(std::string_view& frame);

  // Waits until something comes in; for the executor when it has nothing else to do. False: the engine is
  // gone, and no other will come.
  bool wait_for_input(std::unique_lock<std::mutex>& lock);

  // There is a new engine, whose pipes are in place of the old one's: it is told what this worker owes.
  // `hello` is as at the start.
  void meet_engine(std::optional<ResultRing> ring);
  // What to say to it.
  v1::FromWorker hello;

  // The supervisor is gone, and the engine with it: nothing new is started. What is to be said later stands
  // in the worker file. False: nothing runs, so this process ends.
  bool become_orphan();
  bool orphaned() const { return orphaned_; }
  // The same after the last task has ended.
  void say_last_words() { outbox.write_last_words(hello_again()); }

  // Reads what has come in meanwhile, without waiting, and acts at once on everything that is not a task;
  // tasks are held. False: broken.
  bool take_in();

  // The pipe has ended.
  bool closed() const { return closed_; }
  // No task comes after those that are held: a stop came, or the pipe has ended for good.
  bool last() const { return stopped_ || (closed_ && !outbox.keeps()); }
  // And nothing else that is waited for: what was kept has been acknowledged.
  bool finished() const { return last() && outbox.acknowledged(); }
  // Frames have been read that nobody has looked at.
  bool pending() const { return !held_.empty() || reader_.partial(); }
  // So much is held that no more is read for now.
  bool full() const;

  // The executor starts this task, and has finished it. Finish tells whether it had been asked to end.
  void start(std::uint64_t task, std::uint32_t attempt);
  bool finish();

 private:
  v1::FromWorker hello_again();
  enum class Read { some, nothing, end };
  Read read_once();
  bool sort_frames();
  void hold(std::string_view frame);
  bool act(std::string_view frame);
  void cancel(const v1::WorkerCancel& cancel);
  void give_back(const v1::WorkerReturn& request);
  bool complain(std::string_view what);

  FrameReader reader_;
  HeldTasks held_;
  std::string popped_;  // the frame that next() handed out of held_
  v1::ToWorker incoming_;
  v1::FromWorker reply_;
  bool closed_ = false;
  std::condition_variable new_engine_;
  bool stopped_ = false;
  bool orphaned_ = false;
  std::uint64_t running_task_ = 0;
  std::uint32_t running_attempt_ = 0;
  bool running_ = false;
};

}  // namespace poold::worker
