// map's run: items become tasks on one stream, a bounded number at a time; what they print comes out task by
// task; the log, the halt rule and signals have their say. One loop waits for everything.
//
// Where the stream breaks, it goes on over another one. In a pool with durability: disk every task has a key,
// and what was in flight is submitted again under its key: the daemon has it, or never had it. What was in
// flight in a pool with durability: memory is lost with its engine, and counts as failed.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/halt.hpp"
#include "client/cli/job_log.hpp"
#include "client/cli/map_items.hpp"
#include "client/cli/output_printer.hpp"
#include "client/cli/output_shelf.hpp"
#include "client/cli/progress.hpp"
#include "client/cli/reconnection.hpp"
#include "client/cli/signal_watch.hpp"
#include "client/cli/task_template.hpp"
#include "client/cpp/poold/stream.hpp"
#include "client/cpp/src/frame_stream.hpp"
#include "poold/v1/stream.pb.h"

namespace poold::cli {

class MapRun {
 public:
  struct Options {
    std::size_t jobs = 0;     // in flight at most; 0: as Window decides
    std::size_t workers = 0;  // of the pool
    bool keep_order = false;
    bool raw = false;      // OutputPrinter's
    bool as_json = false;  // a StreamResult in JSON a line instead of output and values
    Halt halt;
    Progress::Kind progress = Progress::Kind::none;
    bool durable = false;                    // the pool's tasks outlive the engine
    std::chrono::milliseconds reconnect{0};  // Reconnection's limit
  };

  // `log` may be null.
  MapRun(const FrameStream::Options& stream, const Options& options, const TaskTemplate& pattern,
         ItemSource& items, JobLog* log);

  // The exit code. Throws Error where the daemon refuses every task, or the stream breaks.
  int run();

 private:
  using Clock = std::chrono::steady_clock;
  struct Left {};  // thrown to leave at once

  // One task, from its submission until its result.
  struct Slot {
    std::uint64_t seq = 0;
    std::string item;
    std::chrono::system_clock::time_point submitted_at;
    OutputShelf::Output output;
    std::uint32_t output_attempt = 0;
    std::uint32_t log_entries = 0;  // JobLog::key()
    std::uint32_t again = 0;        // JobLog::key()
    bool duplicate = false;         // the daemon knew its key
    bool in_flight = false;
  };
  // One that has ended and is to be printed.
  struct Ended {
    std::uint64_t seq = 0;
    OutputShelf::Output output;
    std::optional<JobLogEntry> entry;
  };

  // Submitting.
  bool may_submit() const;
  void submit_more();
  bool submit_next();
  void submit(std::size_t at);
  void send(std::size_t at, bool again);
  std::string key_of(const Slot& slot) const;
  std::size_t limit() const;

  // Over another stream.
  void lose(const ConnectionLost& lost);
  void connect_again();
  void submit_again();

  // Receiving.
  bool receive();
  void take_frame(std::string_view payload);
  void take_other_frame(std::string_view payload);
  void take_refusal(Slot& slot);
  void end(Slot& slot, std::string_view payload);
  void end_unrun(Slot& slot, Code code, const std::string& reason);
  void end_lost(Slot& slot);
  void fail(Slot& slot, const std::string& reason);
  void fill_output(Slot& slot, std::string_view payload);
  void explain(Slot& slot, const std::string& text);
  JobLogEntry entry_of(const Slot& slot, const Outcome& outcome) const;
  void record(Slot& slot, std::optional<JobLogEntry> entry);
  void count_and_halt(bool succeeded);
  std::size_t take_slot();
  void release(Slot& slot);

  // Printing.
  void put(Ended&& ended);
  void print_ended();
  bool print_piece(const v1::LogChunk& chunk);
  bool flush_batch();

  // Waiting.
  void run_to_end();
  bool finished() const;
  void wait();
  bool wait_for_room(int fd);
  void take_signal();
  void stop(bool cancel);
  ProgressState progress_state() const;
  int exit_code();

  const Options options_;
  const TaskTemplate& pattern_;
  ItemSource& items_;
  JobLog* log_;
  const std::string run_;  // the number of this run, where tasks are found by it; else empty

  SignalWatch signals_;
  const FrameStream::Options stream_;
  std::unique_ptr<FrameStream> frames_;  // none while there is no connection
  Reconnection reconnection_;
  std::string lost_reason_;
  bool heard_ = true;                 // something has come over this connection
  Clock::time_point connected_at_{};  // this connection
  OutputPrinter printer_;
  Progress progress_;
  Window window_;
  StreamResult result_;    // reused
  v1::ServerFrame frame_;  // reused

  std::vector<Slot> slots_;  // by tag
  std::vector<std::size_t> free_;
  std::size_t in_flight_ = 0;
  std::deque<std::size_t> again_;                  // slots to be submitted once more
  std::optional<Clock::time_point> paused_until_;  // the pool's queue was full

  OutputShelf shelf_;
  std::deque<Ended> ended_;                 // to be printed, in order
  std::map<std::uint64_t, Ended> kept_;     // with keep_order: those whose turn has not come
  std::uint64_t next_in_order_ = 1;         // with keep_order: whose turn it is
  std::string batch_;                       // bytes for stdout, not yet written
  std::vector<JobLogEntry> entries_ready_;  // printed, not yet logged

  std::uint64_t seq_ = 0;
  std::uint64_t skipped_ = 0;
  Tally tally_;
  bool stopping_ = false;   // submits nothing more
  bool cancelled_ = false;  // what was in flight was cancelled
  bool halted_ = false;
  std::uint64_t unrun_ = 0;  // refused, or no task could be made of them
  bool reader_gone_ = false;
  int signal_ = 0;
};

}  // namespace poold::cli
