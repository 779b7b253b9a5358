// The attempt that the program of a lines worker is at: its log, its result, and which ones it has answered
// before. What it has to say goes to the outbox.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "client/cpp/src/worker_channel.hpp"
#include "common/attempt_log.hpp"
#include "poold/v1/worker.pb.h"

namespace poold::worker {

class LinesAttempt {
 public:
  using Clock = std::chrono::steady_clock;
  // Both together: a task that is tried again keeps its number.
  struct Name {
    std::uint64_t task = 0;
    std::uint32_t attempt = 0;
    bool operator==(const Name&) const = default;
  };

  explicit LinesAttempt(Outbox& outbox) : outbox_(outbox) {}

  // From the welcome; no directory: what the program prints on stderr during an attempt is dropped.
  void keep_logs(const std::string& directory, std::uint64_t size);

  void begin(const v1::WorkerTask& task);
  bool running() const { return running_.has_value(); }
  std::optional<std::uint64_t> running_task() const {
    return running_ ? std::optional(running_->task) : std::nullopt;
  }
  bool is(const Name& name) const { return running_ == name; }
  // When its time is over, if it has a limit.
  std::optional<Clock::time_point> limit_at() const { return limit_at_; }
  // One of the last ones: a second answer to it is known for what it is.
  bool answered(const Name& name) const;

  // What the program prints while the attempt runs.
  void add_errors(std::string_view text);
  void end(v1::Outcome&& outcome);

 private:
  Outbox& outbox_;
  std::string log_directory_;
  std::uint64_t log_size_ = 0;
  std::optional<Name> running_;
  std::optional<Clock::time_point> limit_at_;
  std::optional<AttemptLogWriter> log_;
  std::deque<Name> answered_;
};

}  // namespace poold::worker
