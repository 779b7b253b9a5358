#include "client/cpp/poold/worker.hpp"

#include <google/protobuf/arena.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <exception>
#include <mutex>
#include <optional>
#include <span>

#include "client/cpp/src/exchange.hpp"
#include "client/cpp/src/function_caller.hpp"
#include "client/cpp/src/memory_socket_end.hpp"
#include "client/cpp/src/session.hpp"
#include "client/cpp/src/watcher.hpp"
#include "client/cpp/src/worker_channel.hpp"
#include "common/frame_message.hpp"

namespace poold::worker {
namespace {

// Results are written when nothing is left to do, or when one of these is reached.
constexpr std::size_t gathered_size_max = 32 * 1024;
constexpr std::int64_t gathered_ns_max = 1'000'000;
// How long frames may lie in the pipe while there are tasks to run: some of them may take tasks back.
constexpr std::int64_t unread_ns_max = 2'000'000;

// One incoming task at a time, in memory that is used over and over.
class TaskMemory {
 public:
  // The message that was handed out before must not be used any more.
  v1::ToWorker& fresh(std::size_t frame_size) {
    used_ += frame_size + overhead;
    if (used_ > sizeof(block_)) {
      arena_.Reset();
      used_ = frame_size + overhead;
    }
    return *google::protobuf::Arena::CreateMessage<v1::ToWorker>(&arena_);
  }

 private:
  // About what the messages around a small function call take.
  static constexpr std::size_t overhead = 512;
  static google::protobuf::ArenaOptions options(std::array<char, 64 * 1024>& block) {
    google::protobuf::ArenaOptions options;
    options.initial_block = block.data();
    options.initial_block_size = block.size();
    return options;
  }

  alignas(64) std::array<char, 64 * 1024> block_;
  google::protobuf::Arena arena_{options(block_)};
  std::size_t used_ = 0;
};

// Runs tasks in the thread that calls run().
class Executor {
 public:
  Executor(const plugin::Table& table) : caller_(table, exchange_.cancelled) {}

  int run(const Identity& identity, const ServeOptions& options);

 private:
  void say_hello(const Identity& identity, const ServeOptions& options);
  bool run_task(std::string_view frame, std::unique_lock<std::mutex>& lock);
  void add_result();

  Exchange exchange_;
  FunctionCaller caller_;
  Watcher watcher_{exchange_};
  TaskMemory memory_;
  MemorySocketEnd memory_socket_;
  // Its result and outcome stay allocated; each task sets their fields.
  v1::FromWorker reply_;
  std::int64_t now_ = 0;             // when the last task ended, or the last input came
  std::int64_t gathered_since_ = 0;  // since when a result waits to be written
  std::int64_t read_at_ = 0;         // when the task pipe was last looked at
};

void Executor::say_hello(const Identity& identity, const ServeOptions& options) {
  auto& hello = *exchange_.hello.mutable_hello();
  hello.add_versions(protocol_version);
  hello.set_generation(identity.generation);
  hello.set_agent(options.agent);
  hello.set_shared_memory(memory_socket_.open());
  for (const auto name : caller_.names()) hello.add_functions(std::string(name));
  exchange_.outbox.add(exchange_.hello);
}

int Executor::run(const Identity& identity, const ServeOptions& options) {
  std::unique_lock lock(exchange_.mutex);
  say_hello(identity, options);
  for (;;) {
    std::string_view frame;
    switch (exchange_.next(frame)) {
      case Exchange::Next::task:
        if (!run_task(frame, lock)) return 1;
        break;
      case Exchange::Next::nothing:
        watcher_.idle();
        // Without the engine nobody wants the rest, unless another will.
        if (!exchange_.outbox.flush_all() && !exchange_.outbox.keeps()) return 0;
        if (exchange_.finished() || !exchange_.wait_for_input(lock)) return 0;
        read_at_ = now_ = monotonic_ns();
        break;
      case Exchange::Next::broken:
        exchange_.outbox.flush();
        return 1;
    }
  }
}

bool Executor::run_task(std::string_view frame, std::unique_lock<std::mutex>& lock) {
  v1::ToWorker& message = memory_.fresh(frame.size());
  if (!parse_message(message, frame) || !message.has_task()) {
    std::fprintf(stderr, "worker: the engine sent what is no protocol: a frame that is no task\n");
    return false;
  }
  const v1::WorkerTask& task = message.task();
  if (task.want_started()) {
    v1::FromWorker started;
    started.mutable_started()->set_task(task.task());
    started.mutable_started()->set_attempt(task.attempt());
    exchange_.outbox.add(started);
    exchange_.outbox.flush_all();
  }
  auto& result = *reply_.mutable_result();
  result.set_task(task.task());
  result.set_attempt(task.attempt());
  const AttemptNumber number{task.task(), task.attempt()};
  std::optional<SealedMemory> argument, shared;
  if (const std::uint64_t size = task.spec().function().payload().shared_size(); size > 0) [[unlikely]] {
    argument = memory_socket_.receive(number, size, [this] { exchange_.outbox.flush_all(); });
    if (!argument) return false;
  }
  exchange_.start(task.task(), task.attempt());
  watcher_.working(now_);
  lock.unlock();
  caller_.call(task.spec(), *result.mutable_outcome(),
               argument ? argument->bytes() : std::span<const std::byte>());
  if (memory_socket_.open()) shared = share_result(*result.mutable_outcome());
  lock.lock();
  now_ = monotonic_ns();
  if (exchange_.finish()) {
    result.mutable_outcome()->Clear();
    result.mutable_outcome()->set_kind(v1::Outcome::CANCELLED);
    shared.reset();
  }
  if (shared) {
    // What was sent before is written first: the engine takes one from the socket for each frame that it
    // reads.
    exchange_.outbox.flush_all();
    memory_socket_.send(number, *shared);
  }
  add_result();
  if (exchange_.orphaned()) {
    exchange_.say_last_words();
    end_with_session(0);
  }
  if (now_ - read_at_ >= unread_ns_max && exchange_.pending()) {
    read_at_ = now_;
    return exchange_.take_in();
  }
  return true;
}

void Executor::add_result() {
  Outbox& outbox = exchange_.outbox;
  if (outbox.empty()) gathered_since_ = now_;
  if (reply_.ByteSizeLong() > result_size_max) {
    set_error(*reply_.mutable_result()->mutable_outcome(), v1::Outcome::RAISED, "ResultTooLarge",
              "the result has " + std::to_string(reply_.ByteSizeLong()) + " bytes, the limit is " +
                  std::to_string(result_size_max));
  }
  outbox.add_result(reply_, reply_.result().task());
  // The engine's end is noticed at the next read.
  // But what is not safe must be written now: the first task without a result is the one that is charged if
  // this worker dies, and that is to be the next.
  if (!outbox.safe() || outbox.size() >= gathered_size_max || now_ - gathered_since_ > gathered_ns_max)
    outbox.flush_all();
}

}  // namespace
}  // namespace poold::worker

namespace poold {

int serve(const ServeOptions& options, const plugin::Table& table) {
  const auto identity = worker::take_channel();
  if (!identity) return 1;
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return worker::Executor(table).run(*identity, options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "worker: %s\n", error.what());
    return 1;
  }
}

int refuse(std::string_view why) {
  std::fprintf(stderr, "worker: %.*s\n", static_cast<int>(why.size()), why.data());
  const auto identity = worker::take_channel();
  if (!identity) return 1;
  std::signal(SIGPIPE, SIG_IGN);
  worker::Outbox outbox;
  worker::add_complaint(outbox, identity->generation, why);
  outbox.flush_all();
  return 1;
}

}  // namespace poold
