#include "daemon/supervisor/worker_table.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include "common/invariant.hpp"
#include "common/memory_socket.hpp"
#include "common/result_ring.hpp"
#include "daemon/journal/journal.hpp"
#include "daemon/supervisor/text.hpp"

namespace poold::supervisor {
namespace {

// Room for a few thousand small tasks ahead, and for one write of a large one. The kernel may refuse: then
// the pipe stays as it is.
constexpr int pipe_size = 256 * 1024;

struct Pipe {
  FileDescriptor read;
  FileDescriptor write;
};

// What stands between a worker and others.
struct Pipes {
  Pipe tasks;           // engine to worker
  Pipe results;         // worker to engine
  FileDescriptor ring;  // for results, beside the pipe
};
struct Wiring : Pipes {
  FileDescriptor lifeline_here;
  FileDescriptor lifeline_there;
  FileDescriptor memory_engine;  // for descriptors of shared memory, where the pool has it
  FileDescriptor memory_worker;
  FileDescriptor null;
};

bool open_pipe(Pipe& made, int engine_end) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return false;
  made = {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
  ::fcntl(ends[0], F_SETPIPE_SZ, pipe_size);
  // The two ends are open files of their own: the worker's stays blocking.
  return ::fcntl(ends[engine_end], F_SETFL, (engine_end == 1 ? O_WRONLY : O_RDONLY) | O_NONBLOCK) == 0;
}

bool make_pipes(Pipes& pipes) {
  if (!open_pipe(pipes.tasks, 1) || !open_pipe(pipes.results, 0)) return false;
  pipes.ring = make_result_ring();
  return pipes.ring.valid();
}

bool open_sockets(FileDescriptor& one, FileDescriptor& other) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return false;
  one = FileDescriptor(ends[0]);
  other = FileDescriptor(ends[1]);
  return true;
}

// Nothing, with errno set, if the system has no descriptors or memory left.
std::optional<Wiring> make_wiring(bool shared_memory) {
  Wiring wiring;
  if (!make_pipes(wiring)) return std::nullopt;
  if (!open_sockets(wiring.lifeline_here, wiring.lifeline_there)) return std::nullopt;
  if (shared_memory && !open_sockets(wiring.memory_engine, wiring.memory_worker)) return std::nullopt;
  wiring.null = FileDescriptor(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!wiring.null.valid()) return std::nullopt;
  return wiring;
}

std::string name_of(const std::string& pool, std::uint32_t slot, std::uint32_t generation) {
  return pool + "/" + std::to_string(slot) + "/" + std::to_string(generation);
}

}  // namespace

WorkerTable::WorkerTable(boost::asio::io_context& io, OwnChildren& own, WorkerSurroundings surroundings,
                         Report report, Emptied emptied)
    : io_(io),
      own_(own),
      surroundings_(std::move(surroundings)),
      report_(std::move(report)),
      emptied_(std::move(emptied)),
      files_(surroundings_.file_directory) {}

bool WorkerTable::start(const settings::Pool& pool, std::uint32_t slot_number) {
  invariant(slot_number < slots_max, "the caller has checked the slot");
  const Place place{pool.name, slot_number};
  Slot& slot = slots_[place];
  if (slot.lives() || slot.planned) return false;
  if (slot.unheard) {
    slot.planned = pool;
    return true;
  }
  if (const std::optional<StartError> error = launch(pool, place, slot)) report_failure(place, *error);
  return true;
}

std::optional<StartError> WorkerTable::launch(const settings::Pool& pool, const Place& place, Slot& slot) {
  const std::uint32_t generation = slot.generation + 1;
  ProcessPlan plan;
  plan.environment = worker_environment(surroundings_.inherited_environment, pool, place.second, generation);
  if (!surroundings_.socket.empty()) plan.environment.push_back("POOLD_SOCKET=" + surroundings_.socket);
  std::variant<Program, StartError> found = worker_program(pool, surroundings_.directories, plan.environment);
  if (auto* error = std::get_if<StartError>(&found)) return std::move(*error);
  Program& program = std::get<Program>(found);
  std::optional<Wiring> wiring = make_wiring(pool.shared_memory);
  if (!wiring) return StartError{errno, program.path, std::string("no pipes: ") + std::strerror(errno)};
  plan.path = std::move(program.path);
  plan.argv = std::move(program.argv);
  plan.cwd = pool.cwd;
  plan.open_files = surroundings_.open_files;
  plan.limits = pool.limits;
  plan.nice = pool.nice;
  plan.umask = pool.umask;
  plan.account = pool.account;
  plan.dies_with_parent = !program.ours;
  plan.descriptors = {wiring->null.get(),
                      STDERR_FILENO,
                      STDERR_FILENO,
                      wiring->tasks.read.get(),
                      wiring->results.write.get(),
                      wiring->lifeline_there.get(),
                      no_descriptor,  // of pools on disk
                      pool.shared_memory ? wiring->memory_worker.get() : no_descriptor,
                      wiring->ring.get()};
  static_assert(memory_socket_descriptor == 7 && result_ring_descriptor == 8);
  FileDescriptor file;
  slot.file_name.clear();
  give_file(pool, place, generation, slot, plan, file);
  auto started = Child::start(io_, own_, plan);
  if (auto* error = std::get_if<StartError>(&started)) {
    if (file.valid()) files_.remove(slot.file_name);
    return std::move(*error);
  }

  slot.generation = generation;
  slot.worker = std::get<std::shared_ptr<Child>>(std::move(started));
  slot.pid = slot.worker->pid();
  slot.lifeline = std::move(wiring->lifeline_here);
  slot.durable = pool.durability == settings::Durability::disk;
  ++living_;
  if (!slot.durable) ++mortal_;
  // One that nobody could find must not outlive us.
  if (file.valid() && !write_head(file.get(), {place.first, place.second, generation, slot.pid,
                                               start_ticks_of(slot.pid).value_or(0), boot_id()}))
    slot.worker->signal(SIGKILL);
  slot.worker->watch(nullptr, [this, place](const ExitReport& report) { on_gone(place, report); });
  spdlog::debug("worker {} started as {}", name_of(place.first, place.second, generation),
                slot.worker->pid());
  report_start(place, slot, std::move(wiring->tasks.write), std::move(wiring->results.read),
               std::move(wiring->ring), std::move(wiring->memory_engine), false);
  return std::nullopt;
}

void WorkerTable::report_start(const Place& place, const Slot& slot, FileDescriptor tasks,
                               FileDescriptor results, FileDescriptor ring, FileDescriptor memory,
                               bool adopted) {
  internal::ToEngine message;
  internal::WorkerStarted& content = *message.mutable_started();
  content.set_pool(place.first);
  content.set_slot(place.second);
  content.set_generation(slot.generation);
  content.set_pid(slot.pid);
  content.set_adopted(adopted);
  content.set_orphan(!slot.worker && !slot.lent);
  content.set_handed(slot.lent);
  std::vector<FileDescriptor> ends;
  for (FileDescriptor* end : {&tasks, &results, &ring, &memory})
    if (end->valid()) ends.push_back(std::move(*end));
  report_(message, std::move(ends));
}

void WorkerTable::report_failure(const Place& place, const StartError& error) {
  // The engine complains where people look: it knows how often this happened, and when it tries again.
  spdlog::debug("pool {}: the worker of slot {} cannot be started: {}", place.first, place.second,
                printable(to_string(error)));
  internal::ToEngine message;
  internal::WorkerStartFailed& content = *message.mutable_start_failed();
  content.set_pool(place.first);
  content.set_slot(place.second);
  content.set_errno_value(error.errno_value);
  content.set_path(printable(error.path));
  content.set_message(printable(error.message));
  report_(message, {});
}

bool WorkerTable::signal(const std::string& pool, std::uint32_t slot, std::uint32_t generation, int number) {
  const auto found = slots_.find({pool, slot});
  if (found == slots_.end() || !found->second.lives() || found->second.generation != generation) return false;
  send_signal(found->second, number);
  return true;
}

void WorkerTable::kill_all() {
  for (auto& [place, slot] : slots_)
    if (slot.lives()) send_signal(slot, SIGKILL);
}

void WorkerTable::kill_mortal() {
  for (auto& [place, slot] : slots_)
    if (slot.worker && !slot.durable) slot.worker->signal(SIGKILL);
}

void WorkerTable::reconnect() {
  for (auto& [place, slot] : slots_) {
    slot.planned.reset();  // the last engine's wish
    if (slot.lent) {
      report_start(place, slot, {}, {}, {}, {}, true);
      continue;
    }
    if (slot.worker && !reconnect(place, slot)) slot.worker->signal(SIGKILL);
    if (slot.orphan || slot.unheard) report_start(place, slot, {}, {}, {}, {}, true);
  }
  // When the engine has been told of all, and knows its pools.
  for (auto& [place, slot] : slots_)
    if (slot.unheard)
      report_orphan_exit(place, slot);
    else if (slot.missed)
      report_exit(place, slot, *slot.missed, {});
}

void WorkerTable::lend(const std::string& pool, std::uint32_t number, std::uint32_t generation) {
  const auto found = slots_.find({pool, number});
  if (found == slots_.end() || found->second.generation != generation || found->second.lent) return;
  Slot& slot = found->second;
  if (slot.orphan || slot.unheard) return;
  slot.lent = true;
  slot.was_mortal = !slot.durable;
  if (!slot.worker) {
    // Its end crossed the engine's last words, and was not read.
    slot.missed = slot.last_report;
    ++missed_;
    return;
  }
  slot.durable = true;
  if (slot.was_mortal) --mortal_;
}

void WorkerTable::reclaim() {
  for (auto& [place, slot] : slots_) {
    if (!std::exchange(slot.lent, false)) continue;
    if (std::exchange(slot.missed, std::nullopt)) --missed_;
    if (!slot.was_mortal) continue;
    slot.durable = false;
    if (slot.worker) ++mortal_;
  }
}

bool WorkerTable::reconnect(const Place& place, Slot& slot) {
  Pipes pipes;
  if (make_pipes(pipes)) {
    const int theirs[] = {pipes.tasks.read.get(), pipes.results.write.get(), pipes.ring.get()};
    if (send_datagram(slot.lifeline.get(), "pipes", theirs) == Transfer::done) {
      report_start(place, slot, std::move(pipes.tasks.write), std::move(pipes.results.read),
                   std::move(pipes.ring), {}, true);
      return true;
    }
  }
  spdlog::error("worker {} cannot be given new pipes and is killed: {}",
                name_of(place.first, place.second, slot.generation), std::strerror(errno));
  // The engine was told that it lives, and is to hear of its end.
  report_start(place, slot, {}, {}, {}, {}, true);
  return false;
}

void WorkerTable::on_gone(const Place& place, const ExitReport& report) {
  Slot& slot = slots_.at(place);
  const bool clean = !report.signaled && report.code == 0;
  const LogFields about{{"POOLD_POOL", place.first},
                        {"POOLD_WORKER", name_of(place.first, place.second, slot.generation)}};
  spdlog::log(clean ? spdlog::level::debug : spdlog::level::info, "worker {} ({}) {}",
              name_of(place.first, place.second, slot.generation), slot.worker->pid(), to_string(report));
  slot.worker.reset();
  slot.lifeline.reset();
  // It ended under our eyes: what it had to say is in its pipe.
  if (!slot.file_name.empty()) files_.remove(slot.file_name);
  invariant(living_ > 0, "a worker that ends has lived");
  --living_;
  const bool was_mortal = !slot.durable;
  if (was_mortal) --mortal_;

  slot.last_report = report;
  if (slot.lent) {
    slot.missed = report;
    ++missed_;
  }
  report_exit(place, slot, report, {});
  if ((was_mortal && mortal_ == 0) || living_ == 0) emptied_();
}

void WorkerTable::report_exit(const Place& place, const Slot& slot, const ExitReport& report,
                              std::vector<FileDescriptor> file) {
  internal::ToEngine message;
  internal::WorkerExited& content = *message.mutable_exited();
  content.set_pool(place.first);
  content.set_slot(place.second);
  content.set_generation(slot.generation);
  content.set_signaled(report.signaled);
  content.set_code(report.code);
  content.set_core_dumped(report.core_dumped);
  content.set_user_us(report.user_us);
  content.set_system_us(report.system_us);
  content.set_max_rss_kib(report.max_rss_kib);
  report_(message, std::move(file));
}

}  // namespace poold::supervisor
