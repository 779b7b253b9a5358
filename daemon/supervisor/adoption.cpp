// The worker table's part for workers of an earlier supervisor: orphans. They have no pipes and no lifeline
// any more; they finish what they run, say it in their worker file, and end. Until then they hold their
// slots.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "common/invariant.hpp"
#include "daemon/supervisor/worker_table.hpp"

namespace poold::supervisor {
namespace {

std::string name_of(const std::string& pool, std::uint32_t slot, std::uint32_t generation) {
  return pool + "/" + std::to_string(slot) + "/" + std::to_string(generation);
}

}  // namespace

void WorkerTable::give_file(const settings::Pool& pool, const Place& place, std::uint32_t generation,
                            Slot& slot, ProcessPlan& plan, FileDescriptor& file) {
  if (pool.durability != settings::Durability::disk) return;
  file = files_.create(place.first, place.second, generation, slot.file_name);
  if (!file.valid()) {
    slot.file_name.clear();
    spdlog::warn("worker {} has no worker file, and will end with the supervisor: {}",
                 name_of(place.first, place.second, generation), std::strerror(errno));
    return;
  }
  plan.descriptors[worker_file_descriptor] = file.get();
  plan.environment.push_back(std::string(worker_file_variable) + "=" +
                             std::to_string(worker_file_descriptor));
}

void WorkerTable::adopt() {
  for (FoundWorker& found : files_.take_stock()) {
    if (found.head.slot >= slots_max) continue;
    const Place place{found.head.pool, found.head.slot};
    Slot& slot = slots_[place];
    slot.generation = found.head.generation;
    slot.pid = found.head.pid;
    slot.durable = true;
    slot.file_name = std::move(found.name);
    slot.file = std::move(found.file);
    ++living_;
    const std::string name = name_of(place.first, place.second, slot.generation);
    spdlog::info("worker {} ({}) outlived its supervisor{}", name, slot.pid,
                 found.process.valid() ? "" : " and has ended since");
    slot.orphan = std::make_shared<Orphan>(io_, slot.pid, place.first, std::move(found.process));
    slot.orphan->watch([this, place] { on_orphan_gone(place); });
  }
}

void WorkerTable::send_signal(Slot& slot, int number) {
  if (slot.worker) return slot.worker->signal(number);
  slot.killed = slot.killed || number == SIGKILL;
  slot.orphan->signal(number);
}

void WorkerTable::on_orphan_gone(const Place& place) {
  Slot& slot = slots_.at(place);
  invariant(living_ > 0 && slot.orphan && !slot.unheard, "an orphan that ends has lived");
  slot.killed = slot.killed && slot.orphan->was_alive();
  spdlog::info("worker {} ({}), an orphan, has ended", name_of(place.first, place.second, slot.generation),
               slot.pid);
  slot.orphan.reset();
  --living_;
  slot.unheard = true;
  ++unheard_;
  report_orphan_exit(place, slot);
  if (living_ == 0) emptied_();
}

// Nobody but its parent learns how a process ended. One that we did not kill counts as having left by itself:
// what it had not finished shows in its last words.
void WorkerTable::report_orphan_exit(const Place& place, const Slot& slot) {
  std::vector<FileDescriptor> file;
  file.emplace_back(::fcntl(slot.file.get(), F_DUPFD_CLOEXEC, 0));
  ExitReport report;
  report.signaled = slot.killed;
  report.code = slot.killed ? SIGKILL : 0;
  report_exit(place, slot, report, std::move(file));
}

void WorkerTable::last_words_taken(const std::string& pool, std::uint32_t number, std::uint32_t generation,
                                   bool keep_file) {
  const auto found = slots_.find({pool, number});
  if (found == slots_.end() || !found->second.unheard || found->second.generation != generation) return;
  Slot& slot = found->second;
  slot.unheard = slot.killed = false;
  --unheard_;
  slot.file.reset();
  if (!keep_file) files_.remove(slot.file_name);
  slot.file_name.clear();
  if (const auto planned = std::exchange(slot.planned, std::nullopt)) start(*planned, number);
}

}  // namespace poold::supervisor
