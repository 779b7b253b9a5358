// What a plain task costs the engine in its own code: frames in, the core, frames out. No sockets, no
// threads, no clock, so that the same program always runs the same instructions; tests/bench/hot_path counts
// them.
//
//   hot_path_bench TASKS
//
// A client keeps a window of small function calls in flight; two workers answer each in the order they got
// it. The first round fills every table and is not counted: only what happens inside measured() is.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/frame.hpp"
#include "daemon/core/core.hpp"
#include "daemon/engine/io/plain_frames.hpp"
#include "daemon/engine/store/memory_store.hpp"
#include "poold/v1/stream.pb.h"
#include "poold/v1/worker.pb.h"

namespace {

using namespace poold;
using namespace poold::engine;

constexpr std::uint32_t window = 256;
constexpr std::uint32_t workers = 2;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "hot_path_bench: %s\n", what);
  std::exit(1);
}

// The peers' frames, encoded before anything is measured.
std::string submission(std::uint64_t tag) {
  v1::ClientFrame frame;
  frame.mutable_submit()->set_tag(tag);
  v1::TaskSpec& spec = *frame.mutable_submit()->mutable_task();
  spec.set_pool("math");
  spec.mutable_function()->set_name("add");
  spec.mutable_function()->add_args()->set_number_value(1);
  spec.mutable_function()->add_args()->set_number_value(2);
  std::string out;
  append_frame(out, frame.SerializeAsString());
  return out;
}

std::string answer(core::Sequence task) {
  v1::FromWorker frame;
  frame.mutable_result()->set_task(task);
  frame.mutable_result()->set_attempt(1);
  frame.mutable_result()->mutable_outcome()->set_kind(v1::Outcome::RETURNED);
  frame.mutable_result()->mutable_outcome()->mutable_value()->set_number_value(3);
  std::string out;
  append_frame(out, frame.SerializeAsString());
  return out;
}

class Scene {
 public:
  Scene() : store_([](const Record&) {}, spares_) {
    core::PoolSettings settings;
    settings.name = "math";
    settings.workers = workers;
    core_.handle(core::Configure{{settings}}, now_, step_);
    end_turn();
    for (std::uint32_t slot = 0; slot < workers; ++slot) {
      core_.handle(core::WorkerStarted{{0, slot, 1}, 4711}, now_, step_);
      core_.handle(core::WorkerHello{{0, slot, 1}}, now_, step_);
    }
    store_.set_limits(0, {.count = 1000});
    end_turn();
  }

  // Everything that happens to one windowful of tasks. `submissions` and `answers` are what came over the
  // sockets.
  void measured(const std::string& submissions, const std::string& answers) {
    read(client_in_, submissions, [this](std::string_view frame) { on_client_frame(frame); });
    end_turn();
    // Two workers share them; which answers which is the core's choice, so the frames are dealt by their
    // tasks.
    read(worker_in_, answers, [this](std::string_view frame) { on_worker_frame(frame); });
    end_turn();
    client_out_.clear();
    worker_out_.clear();
  }

  std::uint64_t finished() const { return finished_; }
  core::Sequence next_sequence() const { return next_sequence_; }

 private:
  template <class Handle>
  void read(FrameReader& reader, std::string_view bytes, Handle handle) {
    reader.feed(bytes);
    for (;;) {
      const FrameResult next = reader.next();
      const auto* frame = std::get_if<Frame>(&next);
      if (!frame) break;
      handle(frame->payload);
    }
  }

  void on_client_frame(std::string_view frame) {
    const auto plain = read_plain_submit(frame);
    require(plain.has_value(), "a submission is not plain");
    core::Submit submit;
    submit.id = make_task_id(1, 1, next_sequence_++);
    submit.client = 1;
    submit.tag = plain->tag;
    submit.spec = spares_.hold(plain->spec);
    core_.handle(std::move(submit), now_, step_);
  }

  void on_worker_frame(std::string_view frame) {
    const auto plain = read_plain_result(frame);
    require(plain.has_value(), "a result is not plain");
    const core::Task* task = core_.find_live(plain->task);
    require(task != nullptr, "a result for no task");
    core_.handle(core::WorkerResult{{0, task->slot, 1},
                                    plain->task,
                                    plain->attempt,
                                    plain->kind,
                                    plain->exit_code,
                                    spares_.hold(plain->outcome)},
                 now_, step_);
  }

  void end_turn() {
    now_ += std::chrono::microseconds(20);
    core_.schedule(now_, step_);
    for (core::Promise& promise : step_.promises) {
      if (const auto* dispatch = std::get_if<core::Dispatch>(&promise)) {
        const core::Task* task = core_.find_live(dispatch->task);
        append_task(worker_out_, {dispatch->task, task->attempt, {}, task->spec, false});
      } else if (auto* finished = std::get_if<core::Finished>(&promise)) {
        const Record& record = store_.put(std::move(*finished));
        append_result(client_out_, record.task.tag, record.task.attempt, record.body);
        ++finished_;
      }
    }
    step_.clear();
    store_.trim(now_);
  }

  core::Core core_;
  core::Step step_;
  SpareBuffers spares_;
  MemoryStore store_;
  FrameReader client_in_, worker_in_;
  std::string client_out_, worker_out_;
  core::Time now_ = core::Time{} + std::chrono::hours(1);
  core::Sequence next_sequence_ = 1;
  std::uint64_t finished_ = 0;
};

}  // namespace

// Seen by callgrind under this name.
extern "C" __attribute__((noinline)) void hot_path_measured(void* scene, const std::string* submissions,
                                                            const std::string* answers) {
  static_cast<Scene*>(scene)->measured(*submissions, *answers);
}

int main(int argc, char** argv) {
  const std::uint64_t tasks = argc == 2 ? std::strtoull(argv[1], nullptr, 10) : 0;
  if (tasks < window) {
    std::fprintf(stderr, "usage: hot_path_bench TASKS (at least %u)\n", window);
    return 2;
  }
  Scene scene;
  const auto round = [&](bool counted) {
    std::string submissions, answers;
    const core::Sequence first = scene.next_sequence();
    for (std::uint32_t i = 0; i < window; ++i) submissions += submission(first + i);
    for (std::uint32_t i = 0; i < window; ++i) answers += answer(first + i);
    if (counted)
      hot_path_measured(&scene, &submissions, &answers);
    else
      scene.measured(submissions, answers);
  };
  // One after another, until the core has seen that these tasks are short; then until the store has forgotten
  // its first ones.
  for (int i = 0; i < 1000; ++i) {
    const core::Sequence task = scene.next_sequence();
    scene.measured(submission(task), answer(task));
  }
  for (int i = 0; i < 32; ++i) round(false);
  const std::uint64_t before = scene.finished();
  const std::uint64_t rounds = tasks / window;
  for (std::uint64_t i = 0; i < rounds; ++i) round(true);
  require(scene.finished() - before == rounds * window, "not every task ended");
  std::printf("tasks %llu\n", static_cast<unsigned long long>(rounds * window));
  return 0;
}
