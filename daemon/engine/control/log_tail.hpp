// Follows one task's output through all its attempts, by offset in the attempts' logs, and then its end. Goes
// at its reader's pace.
#pragma once

#include <memory>
#include <optional>

#include "common/attempt_log.hpp"
#include "daemon/engine/control/backend.hpp"

namespace poold::engine {

class LogTail : public Watcher, public std::enable_shared_from_this<LogTail> {
 public:
  // Whoever reads.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual bool has_room() = 0;  // asked before each piece; call resume() when there is room again
    virtual void on_started(const core::Task&) {}
    virtual void on_piece(const AttemptLogReader::Piece& piece, std::uint32_t attempt,
                          std::uint64_t next_offset) = 0;
    // The last call. The record is null if the task has not ended (as_it_is), or was forgotten before its
    // reader had come so far.
    virtual void on_ended(const Record* record) = 0;
  };

  // What of a task's output is wanted.
  enum class Output { none, as_it_is, follow };

  // The sink must outlive the tail's start() .. on_ended(), or release the tail before.
  LogTail(Backend& backend, const TaskId& id, Sink& sink, Output output)
      : backend_(backend), id_(id), sink_(sink), output_(output) {}

  // From this attempt and offset on; attempt 0: the running or last one. The task must be known.
  void start(std::uint32_t attempt, std::uint64_t offset);
  void resume() { pump(); }

  void on_started(const core::Task& task) override;
  void on_output(const core::Task& task) override;
  void on_attempt_ended(const core::Task& task) override;
  void on_ended(const Record& record) override;

 private:
  void open_log();
  void pump();
  bool drain();
  void watch_log();

  Backend& backend_;
  TaskId id_;
  Sink& sink_;
  const Output output_;
  core::PoolIndex pool_ = 0;
  std::uint32_t attempt_ = 0;       // whose log is read; 0: none yet
  std::uint32_t last_attempt_ = 0;  // the newest known to have begun
  std::uint64_t offset_ = 0;
  bool attempt_over_ = false;  // nothing will be added to attempt_'s log
  bool ended_ = false;
  bool told_ = false;
  bool pumping_ = false;
  std::unique_ptr<AttemptLogReader> reader_;
  std::shared_ptr<void> watch_;
};

}  // namespace poold::engine
