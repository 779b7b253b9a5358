#include "daemon/worker/lines_attempt.hpp"

#include <algorithm>
#include <utility>

#include "client/cpp/src/function_caller.hpp"

namespace poold::worker {
namespace {

constexpr std::size_t answered_max = 64;

}  // namespace

void LinesAttempt::keep_logs(const std::string& directory, std::uint64_t size) {
  log_directory_ = directory;
  log_size_ = size;
}

void LinesAttempt::begin(const v1::WorkerTask& task) {
  running_ = Name{task.task(), task.attempt()};
  limit_at_.reset();
  if (const auto& spec = task.spec(); spec.has_timeout())
    limit_at_ = Clock::now() + std::chrono::seconds(spec.timeout().seconds()) +
                std::chrono::nanoseconds(spec.timeout().nanos());
  if (!log_directory_.empty() && log_size_ > 0)
    log_.emplace(attempt_log_path(log_directory_, task.id(), task.attempt()), log_size_);
  if (!task.want_started()) return;
  v1::FromWorker message;
  message.mutable_started()->set_task(task.task());
  message.mutable_started()->set_attempt(task.attempt());
  outbox_.add(message);
}

bool LinesAttempt::answered(const Name& name) const {
  return std::find(answered_.begin(), answered_.end(), name) != answered_.end();
}

void LinesAttempt::add_errors(std::string_view text) {
  if (!log_ || !log_->append(LogStream::err, text)) return;
  v1::FromWorker message;
  message.mutable_output()->set_task(running_->task);
  message.mutable_output()->set_attempt(running_->attempt);
  outbox_.add_before_result(message, running_->task);
}

void LinesAttempt::end(v1::Outcome&& outcome) {
  if (log_) log_->finish();
  v1::FromWorker message;
  auto& result = *message.mutable_result();
  result.set_task(running_->task);
  result.set_attempt(running_->attempt);
  *result.mutable_outcome() = std::move(outcome);
  if (const std::size_t size = message.ByteSizeLong(); size > result_size_max)
    set_error(
        *result.mutable_outcome(), v1::Outcome::RAISED, "ResultTooLarge",
        "the result has " + std::to_string(size) + " bytes, the limit is " + std::to_string(result_size_max));
  outbox_.add_result(message, running_->task);
  answered_.push_back(*running_);
  if (answered_.size() > answered_max) answered_.pop_front();
  running_.reset();
  limit_at_.reset();
  log_.reset();
}

}  // namespace poold::worker
