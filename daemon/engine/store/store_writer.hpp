// Gives a durable store a thread, and turns many turns' writes into one commit: what gathers while one goes
// on is the next.
//
// When the store cannot write, the same writes are tried again until they are there or the writer is stopped;
// nothing behind them is written meanwhile, so the order holds. The owner is told of the trouble at once, and
// when it is over.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "daemon/engine/store/durable_store.hpp"

namespace poold::engine {

class StoreWriter {
 public:
  // Called on the owner's loop.
  struct Events {
    std::function<void(std::uint64_t batches)> committed;  // so many since the start
    std::function<void(const StoreError&)> troubled;       // once per trouble
    std::function<void()> healed;
  };

  StoreWriter(boost::asio::io_context& loop, std::unique_ptr<DurableStore> store, Events events);
  // Gives up what a store in trouble could not write.
  ~StoreWriter();

  // The number of this batch: 1, 2, ...
  std::uint64_t write(StoreBatch&& batch);
  // Waits until all that was given is on the disk, or the time is over. So many batches are, since the start.
  std::uint64_t wait_written(std::chrono::milliseconds patience);

 private:
  struct Shared;
  static void work(Shared& shared);

  std::shared_ptr<Shared> shared_;
  std::uint64_t last_ = 0;
  std::thread thread_;
};

}  // namespace poold::engine
