// What ties a worker of poold-worker to its engine and supervisor, and what is left when one of them dies. In
// a disk pool the worker outlives both: it goes on with its attempt and keeps what it owes, for the next
// engine, which sends new pipes over the lifeline, or for its worker file, if the supervisor has gone.
//
// Reads and tells; what a message means is its worker's business. (Function workers have two threads, and
// their own way in client/cpp/src/exchange.hpp.)
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "client/cpp/src/worker_channel.hpp"
#include "common/frame.hpp"
#include "poold/v1/worker.pb.h"

namespace poold::worker {

class EngineLink {
 public:
  // `unfinished`: the tasks that are here and have no result.
  using Unfinished = std::function<std::vector<std::uint64_t>()>;
  EngineLink(Outbox& outbox, Unfinished unfinished) : outbox_(outbox), unfinished_(std::move(unfinished)) {}

  void say_hello(v1::FromWorker hello);

  // There is an engine, as far as is known.
  bool connected() const { return connected_; }
  // The supervisor has gone: no other engine will come.
  bool orphaned() const { return orphaned_; }
  // To be polled for reading, or for writing; -1: not now.
  int tasks() const { return connected_ ? task_pipe : -1; }
  int results() const { return connected_ && !outbox_.empty() ? result_pipe : -1; }
  int supervisor() const { return orphaned_ ? -1 : lifeline; }

  // What becomes of the work when a pipe has ended: `lost` once, where nobody keeps it.
  enum class Engine { there, away, lost };
  // Writes what the pipe takes.
  Engine flush();
  // Reads what is there, and hands over each message. `act` returns false for what is no protocol.
  enum class Read { good, broken };  // broken: the reason is on stderr
  using Act = std::function<bool(v1::ToWorker& message)>;
  Read read(const Act& act, Engine& engine);

  // Looks whether the engine has gone, without reading: for one that is about to trust that it listens.
  void notice_end();

  enum class News { nothing, new_engine, orphaned };
  // A new engine has been told what this worker owes. Does not return where the supervisor has gone and this
  // worker cannot outlive it.
  News look_at_lifeline();

  // What is here already is not to be lost with this worker: once it is orphaned, while something runs.
  void write_last_words() { outbox_.write_last_words(hello_again()); }
  // And when nothing runs any more.
  [[noreturn]] void end_as_orphan();

 private:
  v1::FromWorker hello_again() const;
  Engine lose_engine();

  Outbox& outbox_;
  const Unfinished unfinished_;
  v1::FromWorker hello_;
  v1::ToWorker incoming_;  // reused
  FrameReader reader_;
  bool connected_ = true;
  bool orphaned_ = false;
};

}  // namespace poold::worker
