#include "daemon/engine/store/store_writer.hpp"

#include <boost/asio/post.hpp>

#include <chrono>
#include <utility>

#include "common/fail_point.hpp"

namespace poold::engine {
namespace {

// Space that comes back is used soon, and a disk that fails is not asked all the time.
constexpr std::chrono::milliseconds retry_delay{200};

}  // namespace

struct StoreWriter::Shared : std::enable_shared_from_this<StoreWriter::Shared> {
  Shared(boost::asio::io_context& io, std::unique_ptr<DurableStore> its_store, Events its_events)
      : loop(io), store(std::move(its_store)), events(std::move(its_events)) {}

  // On the owner's loop, unless the owner is gone.
  template <class Tell>
  void tell(Tell what) {
    boost::asio::post(loop, [weak = weak_from_this(), what = std::move(what)] {
      if (const auto self = weak.lock()) what(self->events);
    });
  }

  boost::asio::io_context& loop;
  std::unique_ptr<DurableStore> store;  // the thread's
  Events events;                        // the loop's
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable written_more;
  std::vector<StoreBatch> waiting;
  std::uint64_t written = 0;
  bool stopping = false;
};

StoreWriter::StoreWriter(boost::asio::io_context& loop, std::unique_ptr<DurableStore> store, Events events)
    : shared_(std::make_shared<Shared>(loop, std::move(store), std::move(events))),
      thread_([shared = shared_.get()] { work(*shared); }) {}

StoreWriter::~StoreWriter() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
  }
  shared_->wake.notify_one();
  thread_.join();
}

std::uint64_t StoreWriter::write(StoreBatch&& batch) {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->waiting.push_back(std::move(batch));
  }
  shared_->wake.notify_one();
  return ++last_;
}

std::uint64_t StoreWriter::wait_written(std::chrono::milliseconds patience) {
  std::unique_lock lock(shared_->mutex);
  shared_->written_more.wait_for(lock, patience, [&] { return shared_->written == last_; });
  return shared_->written;
}

void StoreWriter::work(Shared& shared) {
  bool troubled = false;
  std::vector<StoreBatch> batches;
  std::vector<const StoreBatch*> given;
  std::unique_lock lock(shared.mutex);
  for (;;) {
    shared.wake.wait(lock, [&] { return shared.stopping || !shared.waiting.empty(); });
    if (shared.waiting.empty()) return;
    // What is still there at the end is written, too, if it can be.
    std::swap(batches, shared.waiting);
    given.clear();
    for (const StoreBatch& batch : batches) given.push_back(&batch);
    for (bool done = false; !done;) {
      lock.unlock();
      try {
        pass(FailPoint::commit_begins);
        shared.store->apply(given);
        done = true;
      } catch (const StoreError& error) {
        if (!std::exchange(troubled, true)) shared.tell([error](Events& events) { events.troubled(error); });
      }
      lock.lock();
      if (done) break;
      if (shared.wake.wait_for(lock, retry_delay, [&] { return shared.stopping; })) return;
    }
    const std::uint64_t written = shared.written += batches.size();
    shared.written_more.notify_all();
    if (std::exchange(troubled, false)) shared.tell([](Events& events) { events.healed(); });
    shared.tell([written](Events& events) { events.committed(written); });
    pass(FailPoint::commit_told);
    batches.clear();
  }
}

}  // namespace poold::engine
