// Workers that outlived their supervisor. They have no pipes: a task of theirs is waited for, can be asked to
// end by a signal, and its result comes from the worker file once the worker has ended. What stands in the
// file is what the worker would have said to a new engine: a hello, and every result that was not
// acknowledged.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <variant>

#include "common/frame_message.hpp"
#include "common/overloaded.hpp"
#include "common/worker_file.hpp"
#include "daemon/engine/app/engine.hpp"

namespace poold::engine {

void Engine::hear_orphan(const core::WorkerRef& worker, const FileDescriptor& file) {
  // Nobody waits for what it did: it idled, or an engine has heard it before, and died before it could say
  // so.
  if (core_.state().pools[worker.pool].slots[worker.slot].held.empty()) return;
  const auto report = [&](const std::string& what) {
    spdlog::error("what worker {}/{} generation {} left in its file does not count: {}",
                  core_.state().pools[worker.pool].settings.name, worker.slot, worker.generation, what);
  };
  const auto said = read_last_words(file.get());
  if (const auto* damaged = std::get_if<DamagedWords>(&said)) return report(damaged->reason);
  const auto* words = std::get_if<std::string>(&said);
  if (!words) return;
  FrameReader reader;
  v1::FromWorker frame;
  std::string_view rest = *words;
  while (!rest.empty()) {
    const auto space = reader.prepare();
    const std::size_t count = std::min(space.size(), rest.size());
    rest.copy(space.data(), count);
    rest.remove_prefix(count);
    reader.commit(count);
    for (;;) {
      const FrameResult next = reader.next();
      if (std::holds_alternative<FrameIncomplete>(next)) break;
      if (const auto* error = std::get_if<FrameError>(&next)) return report(std::string(describe(*error)));
      const std::string_view payload = std::get<Frame>(next).payload;
      if (const auto plain = read_plain_result(payload)) {
        on_worker_result(worker, *plain);
      } else if (parse_message(frame, payload)) {
        on_worker_frame(worker, frame);
      } else {
        return report("a frame that is no poold.v1.FromWorker");
      }
    }
  }
}

void Engine::answer_orphan(const internal::WorkerExited& exited, bool keep_file) {
  internal::ToSupervisor message;
  auto& taken = *message.mutable_last_words_taken();
  taken.set_pool(exited.pool());
  taken.set_slot(exited.slot());
  taken.set_generation(exited.generation());
  taken.set_keep_file(keep_file);
  supervisor_.send(message);
}

// SIGTERM ends the attempt within the grace of its pool; the core sees to those that do not end.
void Engine::cancel_orphan(const core::WorkerRef& worker) {
  const auto& slots = core_.state().pools[worker.pool].slots;
  const bool orphan = worker.slot < slots.size() && slots[worker.slot].generation == worker.generation &&
                      slots[worker.slot].adopted;
  if (orphan) signal_worker(worker, SIGTERM);
}

}  // namespace poold::engine
