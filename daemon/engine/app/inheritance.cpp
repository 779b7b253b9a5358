// This engine takes another's place: what that one has handed over is put where it was. What the store has is
// recovered as after a crash (durability.cpp); both together come back in the order of their numbers.
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <utility>

#include "daemon/engine/app/engine.hpp"
#include "daemon/engine/app/handover.hpp"
#include "daemon/engine/app/stored_task.hpp"
#include "daemon/engine/control/sync_desk.hpp"

namespace poold::engine {

struct Engine::Inheritance {
  std::uint64_t last_made_pool = 0;
  std::vector<internal::HandoverMadePool> made_pools;
  std::vector<internal::HandoverPool> pools;
  std::vector<internal::HandoverLimit> limits;
  std::map<std::tuple<std::string, std::uint32_t, std::uint32_t>, internal::HandoverWorker> workers;
  std::vector<internal::HandoverSchedule> schedules;
  std::vector<internal::HandoverQueue> queues;
  std::vector<internal::HandoverSemaphore> semaphores;
  std::unordered_set<core::Sequence> had_argument;
  // Descriptors.
  std::map<std::tuple<std::string, std::uint32_t, std::uint32_t>, std::vector<FileDescriptor>> pipes;
  std::vector<FileDescriptor> clients;
  std::unordered_map<core::Sequence, FileDescriptor> arguments, results;
};

namespace {

// The whole of a memfd, for as long as this lives.
class Mapping {
 public:
  explicit Mapping(const FileDescriptor& memory) {
    struct stat status {};
    if (::fstat(memory.get(), &status) < 0 || status.st_size == 0) return;
    size_ = static_cast<std::size_t>(status.st_size);
    memory_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, memory.get(), 0);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (memory_ != MAP_FAILED) ::munmap(memory_, size_);
  }
  std::string_view text() const {
    return memory_ == MAP_FAILED ? std::string_view() : std::string_view(static_cast<char*>(memory_), size_);
  }

 private:
  void* memory_ = MAP_FAILED;
  std::size_t size_ = 0;
};

// The next item; false if there is none, or it cannot be read.
bool take_item(std::string_view& rest, internal::HandoverItem& item) {
  constexpr std::size_t head = 4;
  if (rest.size() < head) return false;
  std::uint32_t size = 0;
  for (std::size_t i = 0; i < head; ++i)
    size |= std::uint32_t{static_cast<unsigned char>(rest[i])} << (8 * i);
  if (size > rest.size() - head || !item.ParseFromArray(rest.data() + head, static_cast<int>(size)))
    return false;
  rest.remove_prefix(head + size);
  return true;
}

}  // namespace

bool Engine::read_handover(const FileDescriptor& memory) {
  const Mapping mapping(memory);
  std::string_view rest = mapping.text();
  internal::HandoverItem item;
  if (!take_item(rest, item) || item.head().version() != handover_version) {
    spdlog::error("what the last engine handed over is of version {}; this one knows {}",
                  item.head().version(), handover_version);
    return false;
  }
  inheritance_ = std::make_shared<Inheritance>();
  Inheritance& all = *inheritance_;
  next_sequence_ = std::max(next_sequence_, item.head().next_sequence());
  all.last_made_pool = item.head().last_made_pool();
  for (std::uint32_t left = item.head().items(); left > 0; --left) {
    if (!take_item(rest, item)) {
      spdlog::error("what the last engine handed over is not whole");
      return false;
    }
    switch (item.item_case()) {
      case internal::HandoverItem::kMadePool:
        all.made_pools.push_back(std::move(*item.mutable_made_pool()));
        break;
      case internal::HandoverItem::kPool:
        all.pools.push_back(std::move(*item.mutable_pool()));
        break;
      case internal::HandoverItem::kLimit:
        all.limits.push_back(std::move(*item.mutable_limit()));
        break;
      case internal::HandoverItem::kTask:
        if (item.task().had_argument())
          all.had_argument.insert(sequence_of({item.task().id_high(), item.task().id_low()}));
        handed_tasks_.push_back(unpack(std::move(*item.mutable_task())));
        break;
      case internal::HandoverItem::kWorker: {
        internal::HandoverWorker& worker = *item.mutable_worker();
        all.workers[{worker.pool(), worker.slot(), worker.generation()}] = std::move(worker);
        break;
      }
      case internal::HandoverItem::kSchedule:
        all.schedules.push_back(std::move(*item.mutable_schedule()));
        break;
      case internal::HandoverItem::kQueue:
        all.queues.push_back(std::move(*item.mutable_queue()));
        break;
      case internal::HandoverItem::kSemaphore:
        all.semaphores.push_back(std::move(*item.mutable_semaphore()));
        break;
      case internal::HandoverItem::kHead:
      case internal::HandoverItem::ITEM_NOT_SET:
        break;  // of a newer engine
    }
  }
  return true;
}

void Engine::on_handed(const internal::Handed& handed, std::vector<FileDescriptor> descriptors) {
  if (!inheritance_ || listener_) return;
  Inheritance& all = *inheritance_;
  switch (handed.what_case()) {
    case internal::Handed::kWorker: {
      const internal::HandedWorker& worker = handed.worker();
      all.pipes[{worker.pool(), worker.slot(), worker.generation()}] = std::move(descriptors);
      break;
    }
    case internal::Handed::kClient:
      for (FileDescriptor& client : descriptors) all.clients.push_back(std::move(client));
      break;
    case internal::Handed::kArgument:
      if (!descriptors.empty()) all.arguments[handed.argument()] = std::move(descriptors.front());
      break;
    case internal::Handed::kResult:
      if (!descriptors.empty()) all.results[handed.result()] = std::move(descriptors.front());
      break;
    case internal::Handed::WHAT_NOT_SET:
      break;
  }
  if (adopting_ > 0 && --adopting_ == 0) serve();
}

// Before there is any worker or task.
void Engine::inherit_pools() {
  for (const internal::HandoverMadePool& packed : inheritance_->made_pools) {
    MadePool made{packed.name(),
                  packed.base(),
                  packed.of_template(),
                  packed.process(),
                  packed.workers(),
                  packed.uid(),
                  false,
                  0};
    if (core_.state().pool_names.contains(made.name) || !settings_of(settings_, made)) continue;
    const core::PoolIndex index = make_pool(made);
    made_pools_[made.name].number = packed.number();
    if (packed.removed()) remove_pool(index);
  }
  last_made_pool_ = std::max(last_made_pool_, inheritance_->last_made_pool);
  for (const internal::HandoverPool& packed : inheritance_->pools) {
    const auto known = core_.state().pool_names.find(packed.name());
    if (known == core_.state().pool_names.end()) continue;
    const core::PoolIndex index = known->second;
    if (core_.state().pools[index].size != packed.size()) post(core::ScalePool{index, packed.size()});
    if (packed.paused()) post(core::PausePool{index, packed.paused_by()});
    if (packed.draining()) post(core::DrainPool{index});
  }
  for (const internal::HandoverLimit& packed : inheritance_->limits) {
    const core::Rate rate{packed.rate_count(), core::Duration(packed.rate_per_ns()), packed.rate_burst()};
    post(core::SetLimit{{packed.name(), packed.size(), rate}});
  }
}

// Announced by the supervisor; it may have ended since, which will be said next.
void Engine::inherit_worker(const internal::WorkerStarted& started) {
  const core::WorkerRef worker{core_.state().pool_names.at(started.pool()), started.slot(),
                               started.generation()};
  const auto found = inheritance_->pipes.extract({started.pool(), started.slot(), started.generation()});
  if (!found || found.mapped().size() < 3) return;
  std::vector<FileDescriptor> ends = std::move(found.mapped());
  ends.resize(4);
  links_[worker] = std::make_shared<WorkerLink>(loop_, worker, std::move(ends[0]), std::move(ends[1]),
                                                std::move(ends[2]), std::move(ends[3]), *this);
}

// Of a task that comes back.
void Engine::inherit_memory(core::Task& task) {
  if (!inheritance_) return;
  const core::Sequence number = task.sequence();
  const auto take = [&](auto& from, std::shared_ptr<SharedPayload>& to) {
    const auto found = from.extract(number);
    if (!found) return;
    struct stat status {};
    ::fstat(found.mapped().get(), &status);
    auto held =
        memory_ledger_->hold(std::move(found.mapped()), static_cast<std::uint64_t>(status.st_size), task.uid);
    if (auto* payload = std::get_if<std::shared_ptr<SharedPayload>>(&held)) to = std::move(*payload);
  };
  if (inheritance_->had_argument.contains(number)) give_memory(task).had_argument = true;
  if (inheritance_->arguments.contains(number)) take(inheritance_->arguments, give_memory(task).argument);
  if (inheritance_->results.contains(number)) take(inheritance_->results, give_memory(task).result);
}

// All tasks are there: what each worker has, it was asked by the engine before, not by itself.
void Engine::go_on_with_workers() {
  for (const auto& [place, packed] : inheritance_->workers) {
    const auto pool = core_.state().pool_names.find(packed.pool());
    if (pool == core_.state().pool_names.end()) continue;
    const core::WorkerRef worker{pool->second, packed.slot(), packed.generation()};
    WorkerLink* link = find_link(worker);
    if (!link) continue;
    link->set_want_ids(packed.want_ids());
    link->set_takes_memory(packed.shared_memory());
    link->take_over(packed.unsent(), packed.unread(), packed.unread_ring());
    post(core::WorkerSaidAgain{worker,
                               {packed.tasks().begin(), packed.tasks().end()},
                               packed.one_at_a_time(),
                               packed.outdated(),
                               packed.retiring(),
                               packed.finished(),
                               {packed.returning().begin(), packed.returning().end()}});
  }
}

// Last: clients that were connected go on, without noticing.
void Engine::inherit_services() {
  for (const internal::HandoverSchedule& row : inheritance_->schedules)
    schedules_->take_over({row.name(), row.content()});
  for (internal::HandoverQueue& packed : inheritance_->queues) {
    sync::Messages messages;
    for (auto& message : *packed.mutable_messages())
      messages.push_back({std::move(*message.mutable_content_type()), std::move(*message.mutable_data())});
    router_->sync().restore({.name = packed.name(),
                             .length_max = packed.length_max(),
                             .bytes_max = packed.bytes_max(),
                             .uid = packed.uid(),
                             .shared = packed.shared()},
                            std::move(messages), packed.closed());
  }
  for (const internal::HandoverSemaphore& packed : inheritance_->semaphores)
    router_->sync().create(sync::SemaphoreSettings{.name = packed.name(),
                                                   .permits = packed.permits(),
                                                   .permits_max = packed.permits_max(),
                                                   .uid = packed.uid(),
                                                   .shared = packed.shared()});
  for (FileDescriptor& client : inheritance_->clients) listener_->add(client.release());
  for (const auto& [worker, link] : links_) link->read_now();
  spdlog::info("took over {} workers and {} connections", inheritance_->workers.size(),
               inheritance_->clients.size());
  inheritance_.reset();
}

}  // namespace poold::engine
