#include "daemon/engine/control/log_tail.hpp"

#include <fcntl.h>

#include "daemon/engine/control/log_watch.hpp"
#include "daemon/engine/control/task_message.hpp"

namespace poold::engine {
namespace {

constexpr std::size_t piece_size = 64 * 1024;

}  // namespace

void LogTail::start(std::uint32_t attempt, std::uint64_t offset) {
  const Found found = find_task(backend_, id_);
  const core::Task& task = *found.task();
  pool_ = task.pool;
  last_attempt_ = task.attempt;
  attempt_ = attempt && attempt <= last_attempt_ ? attempt : last_attempt_;
  offset_ = attempt == attempt_ ? offset : 0;
  ended_ = found.ended != nullptr;
  attempt_over_ = ended_ || attempt_ < last_attempt_ || task.state != core::TaskState::running;
  if (found.live && output_ != Output::as_it_is) {
    backend_.watch(sequence_of(id_), weak_from_this());
    if (task.state == core::TaskState::running) sink_.on_started(task);
  }
  open_log();
  pump();
}

void LogTail::open_log() {
  reader_.reset();
  watch_.reset();
  if (output_ == Output::none || attempt_ == 0) return;
  FileDescriptor file(::open(backend_.log_path(pool_, id_, attempt_).c_str(),
                             O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.valid()) return;  // no output yet: on_output() tells
  reader_ = std::make_unique<AttemptLogReader>(std::move(file));
  if (!attempt_over_) watch_log();
}

void LogTail::watch_log() {
  watch_ = backend_.log_watch().add(backend_.log_path(pool_, id_, attempt_), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->backend_.now();
    self->pump();
  });
}

void LogTail::on_started(const core::Task& task) {
  last_attempt_ = task.attempt;
  sink_.on_started(task);
}

void LogTail::on_output(const core::Task& task) {
  last_attempt_ = task.attempt;
  // Only if everything before has been read; pump() comes here by itself otherwise.
  if (attempt_ == 0 || (attempt_ < task.attempt && attempt_over_ && !reader_)) {
    attempt_ = task.attempt;
    offset_ = 0;
    attempt_over_ = false;
  }
  if (attempt_ == task.attempt && !reader_) open_log();
  pump();
}

void LogTail::on_attempt_ended(const core::Task&) {
  attempt_over_ = true;
  pump();
}

void LogTail::on_ended(const Record& record) {
  last_attempt_ = record.task.attempt;
  attempt_over_ = ended_ = true;
  pump();
}

// Reads until there is nothing more now. False if the sink is full.
bool LogTail::drain() {
  while (reader_) {
    if (!sink_.has_room()) return false;
    const auto read = reader_->read(offset_, piece_size);
    if (read.pieces.empty()) return true;
    offset_ = read.next_offset;
    for (const auto& piece : read.pieces) sink_.on_piece(piece, attempt_, offset_);
  }
  return true;
}

void LogTail::pump() {
  if (told_ || pumping_) return;
  const auto self = shared_from_this();
  pumping_ = true;
  for (;;) {
    if (!drain()) break;
    if (!attempt_over_ && output_ != Output::as_it_is) break;
    if (attempt_ < last_attempt_) {
      ++attempt_;
      offset_ = 0;
      attempt_over_ = ended_ || attempt_ < last_attempt_;
      open_log();
      continue;
    }
    reader_.reset();
    watch_.reset();
    if (!ended_ && output_ != Output::as_it_is) break;
    told_ = true;
    sink_.on_ended(find_task(backend_, id_).ended);
    break;
  }
  pumping_ = false;
}

}  // namespace poold::engine
