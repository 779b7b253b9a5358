// What happens to the results of a map's tasks: they are counted, logged and printed, each task's output in
// one piece.
#include <unistd.h>

#include <csignal>
#include <utility>

#include "client/cli/context.hpp"
#include "client/cli/exit_code.hpp"
#include "client/cli/map_run.hpp"
#include "client/cli/text.hpp"
#include "client/cpp/src/result_reader.hpp"
#include "common/frame_message.hpp"

namespace poold::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

// A pool whose queue is full is asked again after this time.
constexpr auto pause_time = milliseconds(200);
// So many refusals, and nothing else, are no accident of some items.
constexpr std::uint64_t refusals_max = 16;
// Bytes for stdout are written together up to this size.
constexpr std::size_t batch_size_max = 64 * 1024;
// As much of an item as a message shows.
constexpr std::size_t item_width_max = 60;

// Whether a refusal is about this one task; else every other would be refused, too.
bool is_about_task(Code code) {
  return code == Code::invalid_argument || code == Code::out_of_range || code == Code::resource_exhausted ||
         code == Code::internal || code == Code::unknown || code == Code::data_loss;
}

// A command's own exit code needs no words; everything else does, as in `run`.
std::string trouble_of(const Outcome& outcome) {
  if (outcome.succeeded()) return {};
  if (outcome.kind != Outcome::Kind::exited) return describe(outcome);
  if (!outcome.error) return {};
  return outcome.error->message.empty() ? outcome.error->type : outcome.error->message;
}

}  // namespace

// Takes what has arrived; false if that is nothing.
bool MapRun::receive() {
  if (!frames_) return true;
  frames_->write_some();
  const auto read = frames_->read_some();
  const std::uint64_t ended_before = tally_.done();
  try {
    while (const auto payload = frames_->next()) take_frame(*payload);
    if (read == FrameStream::Read::closed)
      throw ConnectionLost(Code::unavailable, "the connection to the daemon broke with " +
                                                  std::to_string(in_flight_) + " tasks unfinished" +
                                                  (log_ ? " (go on with --resume)" : ""));
  } catch (const ConnectionLost& lost) {
    lose(lost);
  }
  if (tally_.done() > ended_before) window_.ended(tally_.done() - ended_before, Clock::now());
  return read != FrameStream::Read::nothing;
}

void MapRun::take_frame(std::string_view payload) {
  const ServerFrameKind kind = read_server_frame(payload, result_);
  heard_ = true;
  if (kind == ServerFrameKind::other) return take_other_frame(payload);
  if (kind == ServerFrameKind::error)
    throw ConnectionLost(result_.code, "the daemon closed the stream: " + result_.message);
  if (result_.tag >= slots_.size() || !slots_[result_.tag].in_flight)
    throw ProtocolError("the daemon sent the result of a task that is not there");
  Slot& slot = slots_[result_.tag];
  slot.in_flight = false;
  --in_flight_;
  if (kind == ServerFrameKind::rejected)
    take_refusal(slot);
  else
    end(slot, payload);
}

// Output, and whether a key was known.
void MapRun::take_other_frame(std::string_view payload) {
  if (!parse_message(frame_, payload)) throw ProtocolError("the daemon sent a frame that cannot be read");
  const std::uint64_t tag = frame_.has_output() ? frame_.output().tag() : frame_.accepted().tag();
  if (tag >= slots_.size() || !slots_[tag].in_flight) return;
  Slot& slot = slots_[tag];
  if (frame_.has_accepted()) slot.duplicate = frame_.accepted().duplicate();
  if (!frame_.has_output()) return;
  // Of a task that is tried again, the last attempt's output counts.
  if (frame_.output().attempt() != slot.output_attempt) shelf_.drop(slot.output);
  slot.output_attempt = frame_.output().attempt();
  shelf_.add(slot.output, std::move(*frame_.mutable_output()->mutable_chunk()));
}

void MapRun::take_refusal(Slot& slot) {
  if (stopping_) return release(slot);
  if (result_.code == Code::resource_exhausted) {
    paused_until_ = Clock::now() + pause_time;
    again_.push_back(static_cast<std::size_t>(&slot - slots_.data()));
    return;
  }
  if (result_.code == Code::already_exists && log_)
    throw Error(result_.code, "task " + std::to_string(slot.seq) +
                                  " was submitted with other options before this map was killed: give the "
                                  "same ones, or begin a new joblog");
  if (!is_about_task(result_.code)) throw Error(result_.code, result_.message);
  end_unrun(slot, result_.code, result_.message);
}

// No task came of this item.
void MapRun::end_unrun(Slot& slot, Code code, const std::string& reason) {
  if (++unrun_ >= refusals_max && unrun_ > tally_.done())
    throw Error(code, "nothing but refusals, the last: " + reason);
  fail(slot, reason);
}

// It was in flight in a pool whose tasks are gone with the engine.
void MapRun::end_lost(Slot& slot) {
  shelf_.drop(slot.output);
  fail(
      slot,
      "lost: the daemon was restarted, and a pool with durability: memory loses its tasks then; whether this "
      "one ran is not known");
}

// It failed without an outcome.
void MapRun::fail(Slot& slot, const std::string& reason) {
  explain(slot, reason);
  std::optional<JobLogEntry> entry;
  if (log_) {
    entry = JobLogEntry{.seq = slot.seq, .start = system_clock::now(), .exit_code = exit_run_error};
    entry->line = pattern_.line(slot.item);
  }
  count_and_halt(false);
  record(slot, std::move(entry));
}

void MapRun::end(Slot& slot, std::string_view payload) {
  const Outcome& outcome = result_.outcome;
  const bool was_cancelled = outcome.kind == Outcome::Kind::cancelled;
  // An earlier map's task that was cancelled when that map was killed.
  if (was_cancelled && slot.duplicate && !stopping_) {
    shelf_.drop(slot.output);
    slot.duplicate = false;
    slot.output_attempt = 0;
    ++slot.again;
    again_.push_back(static_cast<std::size_t>(&slot - slots_.data()));
    return;
  }
  if (was_cancelled && cancelled_) {  // by us: as if it had not been submitted
    shelf_.drop(slot.output);
    return record(slot, {});
  }
  fill_output(slot, payload);
  std::optional<JobLogEntry> entry;
  if (log_) entry = entry_of(slot, outcome);
  if (const std::string trouble = trouble_of(outcome); !trouble.empty() && !options_.as_json)
    explain(slot, trouble);
  count_and_halt(outcome.succeeded());
  record(slot, std::move(entry));
}

// The value, or the result in JSON.
void MapRun::fill_output(Slot& slot, std::string_view payload) {
  const Outcome& outcome = result_.outcome;
  if (options_.as_json) {
    if (!parse_message(frame_, payload)) throw ProtocolError("the daemon sent a frame that cannot be read");
    frame_.mutable_result()->set_tag(slot.seq);
    shelf_.add(slot.output, v1::LogChunk::STDOUT, to_json(frame_.result()) + "\n");
    return;
  }
  if (outcome.kind == Outcome::Kind::returned) {
    const std::string value =
        outcome.payload ? Value(outcome.payload->data).to_json() : outcome.value.to_json();
    shelf_.add(slot.output, v1::LogChunk::STDOUT, value + "\n");
  }
}

void MapRun::explain(Slot& slot, const std::string& text) {
  const std::string item = cut_to_width(escaped_line(slot.item), item_width_max);
  shelf_.add(slot.output, v1::LogChunk::STDERR,
             "poolctl: task " + std::to_string(slot.seq) + " (" + item + "): " + escaped_line(text) + "\n");
}

JobLogEntry MapRun::entry_of(const Slot& slot, const Outcome& outcome) const {
  const auto now = system_clock::now();
  JobLogEntry entry{.seq = slot.seq, .start = slot.submitted_at, .run_time = now - slot.submitted_at};
  if (outcome.usage) {
    entry.run_time = outcome.usage->wall;
    entry.start = now - std::chrono::duration_cast<system_clock::duration>(entry.run_time);
  }
  entry.receive_bytes = slot.output.bytes;
  entry.line = pattern_.line(slot.item);
  if (outcome.succeeded()) return entry;
  entry.signal = outcome.signal.value_or(0);
  if (entry.signal == 0)
    entry.exit_code = pattern_.is_function() ? exit_code_of_function(outcome) : exit_code_of_command(outcome);
  return entry;
}

void MapRun::count_and_halt(bool succeeded) {
  succeeded ? ++tally_.succeeded : ++tally_.failed;
  if (halted_ || !options_.halt.reached(tally_)) return;
  halted_ = true;
  stop(options_.halt.when == Halt::When::now);
}

// In the order of their ends, or of the items. The log is written in the order of the ends: after the output
// where that is the same order, so that no output is lost.
void MapRun::record(Slot& slot, std::optional<JobLogEntry> entry) {
  if (options_.keep_order && entry) {
    log_->append(*entry);
    entry.reset();
  }
  put({slot.seq, std::exchange(slot.output, {}), std::move(entry)});
  release(slot);
}

void MapRun::put(Ended&& ended) {
  if (!options_.keep_order) {
    ended_.push_back(std::move(ended));
    return;
  }
  kept_.emplace(ended.seq, std::move(ended));
  for (auto first = kept_.begin(); first != kept_.end() && first->first == next_in_order_; ++next_in_order_) {
    ended_.push_back(std::move(first->second));
    first = kept_.erase(first);
  }
}

void MapRun::print_ended() {
  while (!ended_.empty()) {
    Ended ended = std::move(ended_.front());
    ended_.pop_front();
    if (reader_gone_)
      shelf_.drop(ended.output);
    else
      shelf_.take(ended.output, [this](const v1::LogChunk& chunk) { return print_piece(chunk); });
    if (ended.entry) entries_ready_.push_back(std::move(*ended.entry));
  }
  flush_batch();
  for (const JobLogEntry& entry : std::exchange(entries_ready_, {})) log_->append(entry);
}

// What goes to stdout is collected; before anything else is said it is written.
bool MapRun::print_piece(const v1::LogChunk& chunk) {
  if (chunk.stream() == v1::LogChunk::STDOUT && chunk.skipped() == 0) {
    batch_.append(chunk.data());
    return batch_.size() < batch_size_max || flush_batch();
  }
  if (!flush_batch()) return false;
  progress_.hide();
  if (printer_.print(chunk)) return true;
  reader_gone_ = true;
  stop(true);
  return false;
}

bool MapRun::flush_batch() {
  if (reader_gone_) return false;
  if (batch_.empty()) return true;
  progress_.hide();
  v1::LogChunk chunk;
  chunk.set_stream(v1::LogChunk::STDOUT);
  chunk.set_data(std::exchange(batch_, {}));
  if (printer_.print(chunk)) return true;
  reader_gone_ = true;
  stop(true);
  return false;
}

}  // namespace poold::cli
