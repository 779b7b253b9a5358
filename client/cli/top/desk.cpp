#include "client/cli/top/desk.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "client/cli/reason_text.hpp"
#include "client/cli/task_sheet.hpp"
#include "client/cli/text.hpp"
#include "client/cpp/poold/error.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::cli::top {
namespace {

// As many tasks of a kind as somebody would page through; the rest is counted by the pools.
constexpr std::uint32_t tasks_max = 500;
constexpr std::chrono::seconds connect_timeout{5};
constexpr std::chrono::seconds answer_timeout{10};
constexpr std::size_t log_bytes_max = 256 * 1024;  // of which the end is kept
// A long log is read to its end in several refreshes, so that other questions have their turn.
constexpr int log_pieces_max = 16;
constexpr std::uint32_t log_piece_bytes = 1024 * 1024;

void add_tasks(Connection& connection, std::initializer_list<v1::Task::State> states, Snapshot& snapshot) {
  v1::ListTasksRequest request;
  for (const auto state : states) request.mutable_selector()->add_states(state);
  request.set_page_size(tasks_max);
  v1::ListTasksResponse response;
  connection.call("poold.v1.Tasks/List", request, response);
  for (v1::Task& task : *response.mutable_tasks()) snapshot.tasks.push_back(std::move(task));
  if (!response.next_page_token().empty()) snapshot.more_tasks = true;
}

// Who may only submit has tasks, but sees neither.
void add_pools_and_workers(Connection& connection, Snapshot& snapshot) {
  try {
    v1::ListPoolsResponse pools;
    connection.call("poold.v1.Pools/List", v1::ListPoolsRequest(), pools);
    v1::ListWorkersResponse workers;
    connection.call("poold.v1.Workers/List", v1::ListWorkersRequest(), workers);
    snapshot.pools.assign(pools.pools().begin(), pools.pools().end());
    snapshot.workers.assign(workers.workers().begin(), workers.workers().end());
  } catch (const Error& error) {
    if (error.code() != Code::permission_denied || dynamic_cast<const Unreachable*>(&error)) throw;
    snapshot.own_only = true;
  }
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

Sheet ask_sheet(Connection& connection, const Wish& wish) {
  v1::GetTaskRequest request;
  request.set_id(wish.id);
  request.set_with_options(true);
  v1::GetTaskResponse response;
  connection.call("poold.v1.Tasks/Get", request, response);
  const v1::Task& task = response.task();
  Sheet sheet{Sheet::Kind::task, wish.id, "Task " + escaped_line(task.name()),
              lines_of(task_sheet(task, {}))};
  const bool waits = task.state() == v1::Task::WAITING || task.state() == v1::Task::QUEUED;
  if (!waits) return sheet;
  v1::ExplainRequest why;
  why.set_id(wish.id);
  v1::ExplainResponse reasons;
  connection.call("poold.v1.Tasks/Explain", why, reasons);
  if (!reasons.reasons().empty()) sheet.lines.insert(sheet.lines.end(), {"", "It does not run because:"});
  for (const auto& reason : reasons.reasons())
    sheet.lines.push_back("  " + reason_text(reason, std::chrono::system_clock::now()));
  return sheet;
}

Answer cancel(Connection& connection, const Wish& wish) {
  v1::CancelRequest request;
  request.set_id(wish.id);
  v1::CancelResponse response;
  connection.call("poold.v1.Tasks/Cancel", request, response);
  if (response.ids().empty()) return {wish.name + " has ended already", true};
  return {"cancelled " + wish.name};
}

Answer retry(Connection& connection, const Wish& wish) {
  v1::RetryRequest request;
  request.set_id(wish.id);
  v1::RetryResponse response;
  connection.call("poold.v1.Tasks/Retry", request, response);
  return {wish.name + " runs once more"};
}

Answer change_pool(Connection& connection, const Wish& wish) {
  v1::PoolRequest request;
  request.set_name(wish.id);
  v1::PoolResponse response;
  const bool pause = wish.what == Wish::What::pause;
  connection.call(pause ? "poold.v1.Pools/Pause" : "poold.v1.Pools/Resume", request, response);
  return {"pool " + wish.name + (pause ? " is paused" : " goes on")};
}

Answer scale(Connection& connection, const Wish& wish) {
  v1::ScalePoolRequest request;
  request.set_name(wish.id);
  request.set_workers(wish.workers);
  v1::PoolResponse response;
  connection.call("poold.v1.Pools/Scale", request, response);
  return {"pool " + wish.name + " has " + std::to_string(wish.workers) +
          (wish.workers == 1 ? " worker" : " workers") + " until the next reload"};
}

News perform(Connection& connection, LogEnd& log, const Wish& wish) {
  switch (wish.what) {
    case Wish::What::show:
      return ask_sheet(connection, wish);
    case Wish::What::log:
      return LogLines{wish.id, log.read(connection, wish.id)};
    case Wish::What::cancel:
      return cancel(connection, wish);
    case Wish::What::retry:
      return retry(connection, wish);
    case Wish::What::pause:
    case Wish::What::resume:
      return change_pool(connection, wish);
    case Wish::What::scale:
      return scale(connection, wish);
    case Wish::What::quit:
    case Wish::What::redraw:
    case Wish::What::refresh:
      break;
  }
  std::abort();
}

}  // namespace

Snapshot ask_snapshot(Connection& connection, bool ended_too) {
  Snapshot snapshot;
  v1::GetInfoRequest info;
  info.set_with_busy(true);
  connection.call("poold.v1.Daemon/GetInfo", info, snapshot.info);
  snapshot.at = std::chrono::system_clock::now();
  add_pools_and_workers(connection, snapshot);
  // Apart, so that a long queue does not hide what runs.
  add_tasks(connection, {v1::Task::RUNNING}, snapshot);
  add_tasks(connection, {v1::Task::WAITING, v1::Task::QUEUED}, snapshot);
  if (ended_too)
    add_tasks(connection, {v1::Task::SUCCEEDED, v1::Task::FAILED, v1::Task::CANCELLED}, snapshot);
  return snapshot;
}

std::vector<std::string> LogEnd::read(Connection& connection, const std::string& id) {
  if (id != id_) *this = LogEnd();
  id_ = id;
  v1::LogsRequest request;
  request.set_id(id);
  request.set_limit(log_piece_bytes);
  for (int piece = 0; piece < log_pieces_max; ++piece) {
    request.set_offset(offset_);
    request.set_attempt(0);
    v1::LogsResponse response;
    connection.call("poold.v1.Tasks/Logs", request, response);
    if (response.attempt() != attempt_ && attempt_ != 0) {  // the next attempt's log begins anew
      text_ += "--- attempt " + std::to_string(response.attempt()) + " ---\n";
      attempt_ = response.attempt();
      offset_ = 0;
      continue;
    }
    attempt_ = response.attempt();
    offset_ = response.next_offset();
    for (const v1::LogChunk& chunk : response.chunks()) {
      TerminalEscaper escaper;
      if (chunk.skipped() > 0) text_ += "--- " + std::to_string(chunk.skipped()) + " bytes left out ---\n";
      text_ += escaper.escape(chunk.data()) + escaper.finish();
    }
    if (text_.size() > 2 * log_bytes_max) text_.erase(0, text_.find('\n', text_.size() - log_bytes_max) + 1);
    if (response.chunks().empty()) break;
  }
  return lines_of(text_);
}

Desk::Desk(std::string socket_path)
    : socket_path_(std::move(socket_path)), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!event_.valid()) throw std::system_error(errno, std::generic_category(), "eventfd");
  // Signals are the screen's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Desk::~Desk() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    errands_.clear();
  }
  wake_.notify_one();
  thread_.join();
}

void Desk::refresh(bool ended_too) {
  add([ended_too](Connection& connection) -> News { return ask_snapshot(connection, ended_too); });
}

void Desk::ask(Wish wish) {
  add([this, wish = std::move(wish)](Connection& connection) { return perform(connection, log_, wish); });
}

void Desk::add(Errand errand) {
  {
    const std::lock_guard lock(mutex_);
    errands_.push_back(std::move(errand));
  }
  wake_.notify_one();
}

bool Desk::busy() const {
  const std::lock_guard lock(mutex_);
  return asking_ || !errands_.empty();
}

std::vector<News> Desk::take() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(event_.get(), &count, sizeof count);
  const std::lock_guard lock(mutex_);
  return std::exchange(news_, {});
}

void Desk::tell(News news) {
  {
    const std::lock_guard lock(mutex_);
    news_.push_back(std::move(news));
    asking_ = false;
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(event_.get(), &one, sizeof one);
}

void Desk::run() {
  Connection connection(socket_path_, connect_timeout, answer_timeout);
  for (;;) {
    Errand errand;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !errands_.empty(); });
      if (stopping_) return;
      errand = std::move(errands_.front());
      errands_.pop_front();
      asking_ = true;
    }
    try {
      tell(errand(connection));
    } catch (const Unreachable& error) {
      tell(Lost{error.what()});
    } catch (const ConnectionLost& error) {
      tell(Lost{error.what()});
    } catch (const std::exception& error) {
      tell(Answer{escaped_line(error.what()), true});
    }
  }
}

}  // namespace poold::cli::top
