// The run's loop: submitting, waiting, and the end. map_results.cpp has what happens to results.
#include "client/cli/map_run.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "client/cli/context.hpp"
#include "client/cli/exit_code.hpp"
#include "client/cli/reading.hpp"

namespace poold::cli {
namespace {

using std::chrono::milliseconds;

// No more is submitted while so much waits to be sent.
constexpr std::size_t unsent_max = 1024 * 1024;
// Nor while so many tasks have ended and wait for their turn to be printed.
constexpr std::size_t kept_max = 65'536;

}  // namespace

MapRun::MapRun(const FrameStream::Options& stream, const Options& options, const TaskTemplate& pattern,
               ItemSource& items, JobLog* log)
    : options_(options),
      pattern_(pattern),
      items_(items),
      log_(log),
      run_(options.durable && options.reconnect.count() > 0 ? random_run_number() : std::string()),
      stream_(stream),
      frames_(std::make_unique<FrameStream>(stream)),
      reconnection_(options.reconnect),
      printer_([this](int fd) { return wait_for_room(fd); }, options.raw, STDOUT_FILENO),
      progress_(options.progress, Clock::now()),
      window_(options.workers, Clock::now()) {}

int MapRun::run() {
  try {
    run_to_end();
  } catch (const Left&) {
    progress_.hide();
    return exit_signal_base + signal_;
  } catch (const Error&) {
    try {
      print_ended();
    } catch (const Left&) {
      return exit_signal_base + signal_;
    }
    progress_.hide();
    throw;
  }
  if (log_) log_->end_run();
  return exit_code();
}

void MapRun::run_to_end() {
  while (!finished()) {
    if (!frames_) connect_again();
    const bool received = receive();
    take_signal();
    print_ended();
    submit_more();
    if (!received && frames_ && !finished()) wait();
    progress_.show(progress_state(), Clock::now());
  }
  for (auto& [seq, ended] : kept_) ended_.push_back(std::move(ended));
  kept_.clear();
  print_ended();
  progress_.hide();
  if (!reader_gone_ && !printer_.finish()) reader_gone_ = true;
}

bool MapRun::finished() const { return in_flight_ == 0 && (stopping_ || (items_.ended() && again_.empty())); }

std::size_t MapRun::limit() const { return options_.jobs > 0 ? options_.jobs : window_.size(); }

bool MapRun::may_submit() const {
  return frames_ && !stopping_ && !paused_until_ && in_flight_ < limit() && frames_->unsent() < unsent_max &&
         kept_.size() + ended_.size() < kept_max;
}

void MapRun::submit_more() {
  if (paused_until_ && Clock::now() >= *paused_until_) paused_until_.reset();
  while (may_submit() && submit_next()) {
  }
  if (frames_) frames_->write_some();  // a daemon that has hung up is noticed by the read
}

// False if there is nothing to be submitted now.
bool MapRun::submit_next() {
  if (!again_.empty()) {
    const std::size_t at = again_.front();
    again_.pop_front();
    submit(at);
    return true;
  }
  const auto item = items_.next();
  if (!item) return false;
  ++seq_;
  if (log_ && log_->has(seq_, pattern_.line(*item))) {
    ++skipped_;
    if (options_.keep_order) put({seq_, {}, {}});
    return true;
  }
  const std::size_t at = take_slot();
  Slot& slot = slots_[at];
  slot.seq = seq_;
  slot.item.assign(*item);
  if (log_) slot.log_entries = log_->entries();
  submit(at);
  return true;
}

void MapRun::submit(std::size_t at) {
  Slot& slot = slots_[at];
  try {
    send(at, false);
  } catch (const UsageError& error) {
    return end_unrun(slot, Code::invalid_argument, error.what());
  } catch (const std::invalid_argument& error) {
    return end_unrun(slot, Code::invalid_argument, error.what());
  } catch (const Error& error) {  // too long for a frame
    return end_unrun(slot, error.code(), error.what());
  }
  slot.submitted_at = std::chrono::system_clock::now();
  slot.in_flight = true;
  ++in_flight_;
}

// The same request whenever it is sent; `again`: the daemon may have the task, which is this map's own.
void MapRun::send(std::size_t at, bool again) {
  const Slot& slot = slots_[at];
  const TaskSpec spec = pattern_.make(slot.item, key_of(slot));
  const bool want_accepted = log_ && log_->recovering() && pattern_.options().key.empty();
  const bool want_output = !pattern_.is_function() && !options_.as_json;
  if (!want_accepted && !want_output && !again) return frames_->send_submit(at, spec.bytes());
  v1::ClientFrame request;
  v1::StreamSubmit& submit = *request.mutable_submit();
  submit.set_tag(at);
  submit.set_want_accepted(want_accepted);
  submit.set_want_output(want_output);
  submit.set_take_over(again);
  if (!submit.mutable_task()->ParseFromArray(spec.bytes().data(), static_cast<int>(spec.bytes().size())))
    throw std::logic_error("a task that was just encoded cannot be read");
  frames_->send(request);
}

// Empty: none, or the one that the options say.
std::string MapRun::key_of(const Slot& slot) const {
  if (!pattern_.options().key.empty()) return {};
  std::string key = log_ ? log_->key(slot.seq, slot.log_entries, slot.again) : std::string();
  if (key.empty() && !run_.empty()) key = map_key(run_, slot.seq, slot.log_entries, slot.again);
  return key;
}

std::size_t MapRun::take_slot() {
  if (free_.empty()) {
    slots_.emplace_back();
    return slots_.size() - 1;
  }
  const std::size_t at = free_.back();
  free_.pop_back();
  return at;
}

void MapRun::release(Slot& slot) {
  shelf_.drop(slot.output);
  slot = {};
  free_.push_back(static_cast<std::size_t>(&slot - slots_.data()));
}

// Until there is something to do: frames, room for frames, a signal, items, a time.
void MapRun::wait() {
  const bool wants_item = may_submit() && again_.empty() && !items_.ended();
  const short events = frames_->unsent() > 0 ? POLLIN | POLLOUT : POLLIN;
  std::array<pollfd, 3> entries{pollfd{frames_->descriptor(), events, 0},
                                pollfd{signals_.descriptor(), POLLIN, 0},
                                pollfd{wants_item ? items_.descriptor() : -1, POLLIN, 0}};
  const auto now = Clock::now();
  auto timeout = progress_.due_in(now);
  if (paused_until_) {
    const auto pause = std::max(milliseconds(0), std::chrono::ceil<milliseconds>(*paused_until_ - now));
    timeout = std::min(timeout.value_or(pause), pause);
  }
  ::poll(entries.data(), entries.size(), timeout ? static_cast<int>(timeout->count()) : -1);
}

// For the printer. Results are read meanwhile, since the daemon closes a stream that does not read.
bool MapRun::wait_for_room(int fd) {
  for (;;) {
    const short events = frames_ && frames_->unsent() > 0 ? POLLIN | POLLOUT : POLLIN;
    std::array<pollfd, 3> entries{pollfd{fd, POLLOUT, 0},
                                  pollfd{frames_ ? frames_->descriptor() : -1, events, 0},
                                  pollfd{signals_.descriptor(), POLLIN, 0}};
    if (::poll(entries.data(), entries.size(), -1) < 0 && errno == EINTR) continue;
    if (entries[0].revents != 0) return true;  // an error is told by the write
    if (entries[2].revents != 0) take_signal();
    if (entries[1].revents != 0) receive();
  }
}

// A first signal cancels what is in flight, and its results are waited for; a second one no longer waits.
void MapRun::take_signal() {
  const int number = signals_.take();
  if (number == 0) return;
  if (std::exchange(signal_, number) != 0) throw Left();
  progress_.hide();
  if (in_flight_ > 0) complain("cancelling " + std::to_string(in_flight_) + " tasks");
  stop(true);
}

void MapRun::stop(bool cancel) {
  stopping_ = true;
  for (const std::size_t at : std::exchange(again_, {})) release(slots_[at]);
  if (!cancel || std::exchange(cancelled_, true)) return;
  if (!frames_) return;  // it is sent on the next connection
  for (std::size_t at = 0; at < slots_.size(); ++at)
    if (slots_[at].in_flight) frames_->send_cancel(at);
  frames_->write_some();
}

ProgressState MapRun::progress_state() const { return {tally_, skipped_, items_.total()}; }

int MapRun::exit_code() {
  if (reader_gone_) return exit_signal_base + SIGPIPE;
  if (halted_) complain("gave up early, as --halt says");
  if (tally_.failed > 0)
    complain(std::to_string(tally_.failed) + " of " + std::to_string(tally_.done()) + " tasks failed");
  if (signal_ != 0) return exit_signal_base + signal_;
  if (halted_ && options_.halt.what == Halt::What::success) return exit_ok;
  return tally_.failed > 0 ? exit_failed : exit_ok;
}

}  // namespace poold::cli
