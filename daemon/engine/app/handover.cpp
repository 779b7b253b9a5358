// Another engine takes this one's place: everything that is under way is brought to a point where nothing
// waits for anything, and what no store has is written down for it. In one go, with the loop standing still:
// whatever arrives meanwhile stays in sockets and pipes, which the other engine gets.
#include <spdlog/spdlog.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "common/seqpacket.hpp"
#include "daemon/engine/app/engine.hpp"
#include "daemon/engine/app/handover.hpp"
#include "daemon/engine/app/stored_task.hpp"
#include "daemon/engine/control/sync_desk.hpp"

namespace poold::engine {
namespace {

// A disk that takes longer for a commit is in trouble, even if it has not said so.
constexpr std::chrono::seconds commit_patience{5};

// Items behind each other, each with its size in front.
class ItemWriter {
 public:
  void add(const internal::HandoverItem& item) {
    const auto size = static_cast<std::uint32_t>(item.ByteSizeLong());
    for (int shift = 0; shift < 32; shift += 8) text_ += static_cast<char>(size >> shift & 0xff);
    item.AppendToString(&text_);
    ++count_;
  }
  std::uint32_t count() const { return count_; }
  std::string& text() { return text_; }

 private:
  std::string text_;
  std::uint32_t count_ = 0;
};

internal::HandoverQueue pack_queue(const sync::Queue& queue) {
  internal::HandoverQueue packed;
  packed.set_name(queue.settings.name);
  packed.set_length_max(queue.settings.length_max);
  packed.set_bytes_max(queue.settings.bytes_max);
  packed.set_uid(queue.settings.uid);
  packed.set_shared(queue.settings.shared);
  packed.set_closed(queue.closed);
  for (const sync::Message& message : queue.messages) {
    auto& to = *packed.add_messages();
    to.set_content_type(message.content_type);
    to.set_data(message.data);
  }
  return packed;
}

}  // namespace

void Engine::upgrade(std::function<void(const std::string& refusal)> done) {
  upgrades_.push_back(std::move(done));
  internal::ToSupervisor message;
  message.mutable_upgrade();
  supervisor_.send(message);
}

void Engine::refuse_handover(const std::string& reason) {
  facts_.upgrade_error = reason;  // for those who have their answer already
  for (const auto& done : std::exchange(upgrades_, {})) done(reason);
  internal::ToSupervisor message;
  message.mutable_handover_refused()->set_reason(reason);
  supervisor_.send(message);
}

bool Engine::is_temporary(core::PoolIndex pool) const {
  const MadePool* made = made_pool(pool);
  return made && made->temporary;
}

// The tasks of a durable pool are in the store; those of a pool that goes with a connection go with it.
bool Engine::is_handed_over(core::PoolIndex pool) const { return !is_durable(pool) && !is_temporary(pool); }

// Nothing that was promised, or was to be said, is left. Why not, if that cannot be reached.
std::string Engine::settle_for_handover() {
  if (!store_trouble_.empty()) return "the store is in trouble: " + store_trouble_;
  if (core_.state().stopping) return "the daemon stops";
  for (core::PoolIndex index = 0; index < core_.state().pools.size(); ++index) {
    const core::Pool& pool = core_.state().pools[index];
    const bool tasks = pool.running > 0 || pool.pending() > 0;
    if (pool.removed && tasks && !is_durable(index) && !made_pool(index))
      return "pool " + pool.settings.name +
             ", which the configuration has no more, has tasks that have not ended";
  }
  now();
  listener_->finish_requests();
  for (const auto& [worker, link] : links_) link->read_now();
  end_turn();
  const auto until = std::chrono::steady_clock::now() + commit_patience;
  while (!withheld_.empty()) {
    const auto left = until - std::chrono::steady_clock::now();
    const auto written = writer_->wait_written(std::chrono::duration_cast<std::chrono::milliseconds>(left));
    if (withheld_.front().batch > written) return "the store has not taken a commit for 5 s";
    on_committed(written);
    end_turn();
  }
  return {};
}

void Engine::hand_over() {
  if (const std::string reason = settle_for_handover(); !reason.empty()) return refuse_handover(reason);
  for (const auto& done : std::exchange(upgrades_, {})) done({});
  // Without another turn: what that decided would be neither committed nor sent.
  flush_all();
  const auto workers = hand_over_workers();
  FileDescriptor memory(::memfd_create("poold handover", MFD_CLOEXEC));
  const std::string text = pack_handover(workers);
  for (std::size_t at = 0; memory.valid() && at < text.size();) {
    const ssize_t put = ::write(memory.get(), text.data() + at, text.size() - at);
    if (put < 0 && errno != EINTR) memory.reset();
    if (put > 0) at += static_cast<std::size_t>(put);
  }
  if (!memory.valid())
    return refuse_handover("no memory for what is handed over: " + std::string(std::strerror(errno)));

  core_.state().tasks.each([&](const core::Task& task) {
    if (is_handed_over(task.pool)) hand_over_memory(task);
    return true;
  });
  store_.each([&](const Record& record) {
    if (is_handed_over(record.task.pool)) hand_over_memory(record.task);
  });
  std::vector<FileDescriptor> clients = listener_->hand_over();
  for (std::size_t at = 0; at < clients.size(); at += datagram_descriptors_max) {
    internal::ToSupervisor message;
    message.mutable_handed()->set_client(true);
    std::vector<FileDescriptor> some;
    for (std::size_t i = at; i < std::min(clients.size(), at + datagram_descriptors_max); ++i)
      some.push_back(std::move(clients[i]));
    supervisor_.send(message, std::move(some));
  }
  internal::ToSupervisor end;
  end.mutable_handed_over();
  std::vector<FileDescriptor> last;
  last.push_back(std::move(memory));
  supervisor_.send(end, std::move(last));
  if (!supervisor_.send_all()) exit_code_ = 1;
  spdlog::info("handed over");
  // At once: nothing more may be read, said, or written.
  loop_.stop();
}

// All but those that are coming or going, which are begun anew or have nothing left to say.
std::vector<internal::HandoverWorker> Engine::hand_over_workers() {
  std::vector<internal::HandoverWorker> workers;
  for (const auto& [worker, link] : links_) {
    if (is_temporary(worker.pool)) continue;
    const core::Pool& pool = core_.state().pools[worker.pool];
    const core::Slot& slot = pool.slots[worker.slot];
    const bool works = slot.state == core::WorkerState::idle || slot.state == core::WorkerState::busy ||
                       slot.state == core::WorkerState::retiring;
    if (!works || !slot.hello || slot.adopted || slot.generation != worker.generation) continue;
    auto handed = link->hand_over();
    if (!handed) continue;
    internal::HandoverWorker packed;
    packed.set_pool(pool.settings.name);
    packed.set_slot(worker.slot);
    packed.set_generation(worker.generation);
    for (const core::Task* task = slot.held.front(); task; task = task->next) {
      packed.add_tasks(task->sequence());
      if (task->returning) packed.add_returning(task->sequence());
    }
    packed.set_retiring(slot.state == core::WorkerState::retiring);
    packed.set_outdated(slot.outdated);
    packed.set_one_at_a_time(slot.one_at_a_time_until == core::Time::max());
    packed.set_want_ids(link->want_ids());
    packed.set_shared_memory(link->takes_memory());
    packed.set_finished(slot.finished);
    packed.set_unsent(std::move(handed->unsent));
    packed.set_unread(std::move(handed->unread));
    packed.set_unread_ring(std::move(handed->unread_ring));
    internal::ToSupervisor message;
    auto& place = *message.mutable_handed()->mutable_worker();
    place.set_pool(packed.pool());
    place.set_slot(packed.slot());
    place.set_generation(packed.generation());
    supervisor_.send(message, std::move(handed->descriptors));
    workers.push_back(std::move(packed));
  }
  return workers;
}

void Engine::hand_over_memory(const core::Task& task) {
  const TaskMemory* memory = memory_of(task);
  if (!memory) return;
  const auto send = [&](const std::shared_ptr<SharedPayload>& payload, bool result) {
    if (!payload) return;
    internal::ToSupervisor message;
    result ? message.mutable_handed()->set_result(task.sequence())
           : message.mutable_handed()->set_argument(task.sequence());
    std::vector<FileDescriptor> descriptors;
    descriptors.push_back(duplicate(payload->memory()));
    supervisor_.send(message, std::move(descriptors));
  };
  send(memory->argument, false);
  send(memory->result, true);
}

std::string Engine::pack_handover(const std::vector<internal::HandoverWorker>& workers) {
  ItemWriter items;
  internal::HandoverItem item;
  const core::State& state = core_.state();
  const WallClock clock{unix_ns(now_) - now_.time_since_epoch().count()};
  for (core::PoolIndex index = 0; index < state.pools.size(); ++index) {
    const core::Pool& pool = state.pools[index];
    if (const MadePool* made = made_pool(index)) {
      if (made->temporary) continue;
      auto& packed = *item.mutable_made_pool();
      packed.set_name(made->name);
      packed.set_base(made->base);
      packed.set_of_template(made->of_template);
      packed.set_process(made->process);
      packed.set_workers(made->workers);
      packed.set_uid(made->uid);
      packed.set_number(made->number);
      packed.set_removed(pool.removed);
      items.add(item);
    }
    if (pool.removed) continue;
    auto& packed = *item.mutable_pool();
    packed.Clear();
    packed.set_name(pool.settings.name);
    packed.set_size(pool.size);
    packed.set_paused(pool.paused);
    packed.set_paused_by(pool.paused_by);
    packed.set_draining(pool.draining);
    items.add(item);
  }
  for (const auto& [name, limit] : state.limits) {
    if (!limit->set || limit->configured) continue;
    auto& packed = *item.mutable_limit();
    packed.Clear();
    packed.set_name(name);
    packed.set_size(limit->settings.size);
    packed.set_rate_count(limit->settings.rate.count);
    packed.set_rate_per_ns(limit->settings.rate.per.count());
    packed.set_rate_burst(limit->settings.rate.burst);
    items.add(item);
  }
  const auto add_task = [&](const core::Task& task, const StoredState& row) {
    *item.mutable_task() =
        pack(submission_row(task, state.pools[task.pool].settings.name, digest_of(task), clock), row);
    const TaskMemory* memory = memory_of(task);
    item.mutable_task()->set_had_argument(memory && memory->had_argument);
    items.add(item);
  };
  state.tasks.each([&](const core::Task& task) {
    if (is_handed_over(task.pool)) add_task(task, state_row(task, clock));
    return true;
  });
  store_.each([&](const Record& record) {
    if (is_handed_over(record.task.pool)) add_task(record.task, ended_row(record, clock));
  });
  for (const internal::HandoverWorker& worker : workers) {
    *item.mutable_worker() = worker;
    items.add(item);
  }
  for (StoredSchedule& row : schedules_->hand_over()) {
    item.mutable_schedule()->set_name(row.name);
    item.mutable_schedule()->set_content(row.content);
    items.add(item);
  }
  for (const auto& [name, queue] : router_->sync().queues().all()) {
    if (queue->settings.bound_to != 0) continue;
    *item.mutable_queue() = pack_queue(*queue);
    items.add(item);
  }
  for (const auto& [name, semaphore] : router_->sync().semaphores().all()) {
    if (semaphore->settings.bound_to != 0) continue;
    auto& packed = *item.mutable_semaphore();
    packed.Clear();
    packed.set_name(name);
    packed.set_permits(semaphore->free + semaphore->held());
    packed.set_permits_max(semaphore->settings.permits_max);
    packed.set_uid(semaphore->settings.uid);
    packed.set_shared(semaphore->settings.shared);
    items.add(item);
  }
  ItemWriter all;
  auto& head = *item.mutable_head();
  head.set_version(handover_version);
  head.set_next_sequence(next_sequence_);
  head.set_last_made_pool(last_made_pool_);
  head.set_items(items.count());
  all.add(item);
  return std::move(all.text()) + items.text();
}

}  // namespace poold::engine
