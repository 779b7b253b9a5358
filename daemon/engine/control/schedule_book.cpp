#include "daemon/engine/control/schedule_book.hpp"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/time_zone_file.hpp"
#include "daemon/engine/control/submission.hpp"
#include "poold/internal/store.pb.h"

namespace poold::engine {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::int64_t jitter_max = 24 * 3600;

std::optional<ConnectError> wrong(const std::string& text) {
  return ConnectError{Code::invalid_argument, text};
}

std::optional<ConnectError> check(const v1::Schedule& schedule) {
  const std::string& name = schedule.name();
  if (name.empty()) return wrong("schedule.name: empty");
  if (name.size() > name_bytes_max) return wrong("schedule.name: longer than 255 bytes");
  if (std::ranges::any_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    return wrong("schedule.name: control characters are not accepted");
  if (!v1::Schedule::Overlap_IsValid(schedule.overlap()))
    return wrong("schedule.overlap: not SKIP, QUEUE or REPLACE");
  if (!v1::Schedule::CatchUp_IsValid(schedule.catch_up()))
    return wrong("schedule.catchUp: not ONCE, ALL or NONE");
  const auto& jitter = schedule.jitter();
  if (jitter.nanos() != 0 || jitter.seconds() < 0 || jitter.seconds() > jitter_max)
    return wrong("schedule.jitter: expected whole seconds, 0s to 24h");
  const v1::TaskSpec& task = schedule.task();
  if (!task.key().empty()) return wrong("schedule.task.key: each run is another task; leave the key out");
  if (task.has_at()) return wrong("schedule.task.at: the schedule says when");
  if (task.after_size() + task.after_any_size() > 0)
    return wrong("schedule.task.after: the tasks of a schedule wait for no others; see schedule.overlap");
  if (!task.name().empty() && task.name() != name)
    return wrong("schedule.task.name: its tasks carry the schedule's name");
  return std::nullopt;
}

std::variant<core::ScheduleSettings, ConnectError> core_schedule(const v1::Schedule& schedule) {
  core::ScheduleSettings settings;
  settings.name = schedule.name();
  auto recurrence = Recurrence::parse(schedule.spec());
  if (const auto* error = std::get_if<std::string>(&recurrence)) return *wrong("schedule.spec: " + *error);
  settings.recurrence = std::get<Recurrence>(recurrence);
  auto zone = load_time_zone(schedule.time_zone());
  if (const auto* error = std::get_if<std::string>(&zone)) return *wrong("schedule.timeZone: " + *error);
  settings.zone = std::make_shared<const TimeZone>(std::move(std::get<TimeZone>(zone)));
  static_assert(static_cast<int>(core::Overlap::replace) == v1::Schedule::REPLACE);
  static_assert(static_cast<int>(core::CatchUp::none) == v1::Schedule::NONE);
  settings.overlap = static_cast<core::Overlap>(schedule.overlap());
  settings.catch_up = static_cast<core::CatchUp>(schedule.catch_up());
  settings.jitter = schedule.jitter().seconds();
  return settings;
}

// Each argument is JSON if it parses, else a string, as poolctl has it.
google::protobuf::Value argument(const std::string& text) {
  google::protobuf::Value value;
  if (google::protobuf::util::JsonStringToMessage(text, &value).ok()) return value;
  value.set_string_value(text);
  return value;
}

v1::Schedule from_settings(const settings::Schedule& from) {
  v1::Schedule schedule;
  schedule.set_name(from.name);
  schedule.set_spec(from.spec);
  schedule.set_time_zone(from.time_zone);
  schedule.set_overlap(static_cast<v1::Schedule::Overlap>(from.overlap));
  schedule.set_catch_up(static_cast<v1::Schedule::CatchUp>(from.catch_up));
  schedule.mutable_jitter()->set_seconds(from.jitter.count());
  v1::TaskSpec& task = *schedule.mutable_task();
  task.set_name(from.name);
  task.set_pool(from.pool);
  task.set_attempts(from.attempts);
  if (from.timeout.count() > 0)
    *task.mutable_timeout() = TimeUtil::MillisecondsToDuration(from.timeout.count());
  if (from.function.empty()) {
    task.mutable_command()->mutable_argv()->Assign(from.command.begin(), from.command.end());
    task.mutable_command()->mutable_env()->insert(from.env.begin(), from.env.end());
    task.mutable_command()->set_cwd(from.cwd);
  } else {
    task.mutable_function()->set_name(from.function);
    for (const std::string& text : from.args) *task.mutable_function()->add_args() = argument(text);
  }
  return schedule;
}

ConnectError unavailable(const Backend& backend) {
  return {Code::unavailable, "the store cannot be written: " + backend.store_trouble()};
}

// Its tasks wait for no others but its own, so that nothing depends on them.
Rights rights_of(Backend& backend, std::uint32_t uid) {
  Peer peer;
  peer.uid = uid;
  return Rights(backend.access(), peer);
}

google::protobuf::Timestamp timestamp(std::int64_t seconds) { return TimeUtil::SecondsToTimestamp(seconds); }

}  // namespace

ScheduleBook::ScheduleBook(Backend& backend, Write write)
    : backend_(backend),
      write_(std::move(write)),
      timer_(backend.loop(), [this](bool clock_set) { on_ring(clock_set); }) {}

void ScheduleBook::start() { token_ = backend_.add_client(weak_from_this()); }

std::int64_t ScheduleBook::unix_seconds() {
  const std::int64_t second = 1'000'000'000;
  return backend_.unix_ns(backend_.now()) / second;
}

std::vector<std::string> ScheduleBook::configure(const std::vector<settings::Schedule>& schedules) {
  std::vector<std::string> changes;
  std::map<std::string, v1::Schedule> wanted;
  for (const settings::Schedule& schedule : schedules) wanted[schedule.name] = from_settings(schedule);
  std::vector<std::string> gone;
  for (const auto& [name, entry] : entries_)
    if (entry.configured && !wanted.contains(name)) gone.push_back(name);
  for (const std::string& name : gone) {
    changes.push_back("schedule " + name + " removed");
    forget(name);
  }
  using google::protobuf::util::MessageDifferencer;
  for (const auto& [name, schedule] : wanted) {
    const auto known = entries_.find(name);
    if (known != entries_.end() && known->second.configured &&
        MessageDifferencer::Equals(known->second.asked, schedule))
      continue;
    changes.push_back("schedule " + name + (known == entries_.end() ? " added" : " changed"));
    if (const auto error = put(schedule, ::geteuid(), true))
      spdlog::error("schedule {}: {}", name, error->message);
  }
  arm();
  return changes;
}

std::optional<ConnectError> ScheduleBook::put(const v1::Schedule& schedule, std::uint32_t uid,
                                              bool configured) {
  auto settings = core_schedule(schedule);
  if (const auto* error = std::get_if<ConnectError>(&settings)) return *error;
  schedules_.put(std::move(std::get<core::ScheduleSettings>(settings)), unix_seconds());
  Entry& entry = entries_[schedule.name()];
  // What the configuration has now is not the store's any more.
  if (configured && entry.stored) write_({schedule.name(), {}});
  entry = {schedule, uid, configured, {}, entry.stored && !configured};
  entry.asked.mutable_task()->set_name(schedule.name());
  return std::nullopt;
}

std::optional<ConnectError> ScheduleBook::add(const v1::Schedule& schedule, std::uint32_t uid, bool replace) {
  if (auto error = check(schedule)) return error;
  const auto known = entries_.find(schedule.name());
  if (known != entries_.end() && known->second.configured)
    return ConnectError{Code::already_exists, "schedule.name: the configuration has a schedule " +
                                                  quoted(schedule.name()) + "; change it there"};
  if (known != entries_.end() && !replace)
    return ConnectError{Code::already_exists, "schedule.name: there is a schedule " +
                                                  quoted(schedule.name()) + "; replace replaces it"};
  if (known == entries_.end() && entries_.size() >= schedules_max)
    return ConnectError{Code::resource_exhausted, "there are 10000 schedules already"};
  // What can be wrong with the task is told now, not every night.
  if (auto made = make_submission(backend_, schedule.task(), uid, rights_of(backend_, uid));
      auto* error = std::get_if<ConnectError>(&made)) {
    error->message = "schedule.task." + error->message;
    return *error;
  }
  v1::Schedule asked = schedule;
  asked.clear_next_at();
  if (is_on_disk(asked) && !backend_.store_trouble().empty()) return unavailable(backend_);
  if (auto error = put(asked, uid, false)) return error;
  save(asked.name());
  arm();
  return std::nullopt;
}

std::optional<ConnectError> ScheduleBook::remove(const std::string& name) {
  const auto known = entries_.find(name);
  if (known == entries_.end())
    return ConnectError{Code::not_found, "name: there is no schedule " + quoted(name)};
  if (known->second.configured)
    return ConnectError{
        Code::failed_precondition,
        "the schedule " + quoted(name) + " is the configuration's; take it out there and reload"};
  if (known->second.stored && !backend_.store_trouble().empty()) return unavailable(backend_);
  forget(name);
  arm();
  return std::nullopt;
}

std::variant<TaskId, ConnectError> ScheduleBook::run(const std::string& name) {
  if (!entries_.contains(name))
    return ConnectError{Code::not_found, "name: there is no schedule " + quoted(name)};
  return submit(name);
}

std::variant<TaskId, ConnectError> ScheduleBook::submit(const std::string& name) {
  Entry& entry = entries_.at(name);
  core::Schedule& schedule = *schedules_.find(name);
  const core::OverlapDecision decision = core::overlap_decision(backend_.state(), schedule);
  if (decision == core::OverlapDecision::skip)
    return ConnectError{Code::failed_precondition,
                        "its task " + to_string(*schedule.last_task) + " has not ended, and overlap is SKIP"};
  auto made = make_submission(backend_, entry.asked.task(), entry.uid, rights_of(backend_, entry.uid));
  if (auto* error = std::get_if<ConnectError>(&made)) return *error;
  auto& event = std::get<core::Submit>(made);
  const core::Pool& pool = backend_.state().pools[event.pool];
  if (const auto refusal = core::refusal_of_submission(backend_.state(), pool, entry.uid))
    return explain(backend_, core::Refused{0, 0, *refusal, event.pool});
  if (decision != core::OverlapDecision::run) {
    if (!event.options) event.options = std::make_unique<core::TaskOptions>();
    event.options->parents.push_back({sequence_of(*schedule.last_task), true, std::nullopt});
  }
  const TaskId id = event.id;
  event.client = token_;
  event.tag = ++last_tag_;
  submitted_.emplace(event.tag, name);
  const auto replaced = schedule.last_task;
  schedule.last_task = id;
  schedule.last_run = unix_seconds();
  ++schedule.runs;
  entry.last_error.clear();
  backend_.submit(std::move(event));
  save(name);
  if (decision == core::OverlapDecision::replace_last) backend_.post(core::Cancel{sequence_of(*replaced)});
  return id;
}

bool ScheduleBook::is_on_disk(const v1::Schedule& schedule) const {
  const auto& name = schedule.task().pool();
  const auto pool = backend_.state().pool_names.find(name.empty() ? "default" : name);
  return pool != backend_.state().pool_names.end() && backend_.state().pools[pool->second].settings.durable;
}

void ScheduleBook::save(const std::string& name) {
  Entry& entry = entries_.at(name);
  if (entry.configured || (!entry.stored && !is_on_disk(entry.asked))) return;
  entry.stored = true;
  write_({name, content_of(name)});
}

std::string ScheduleBook::content_of(const std::string& name) const {
  v1::Schedule message;
  fill(name, message);
  const core::Schedule& schedule = schedules_.all().at(name);
  internal::StoredSchedule row;
  row.set_schedule(message.SerializeAsString());
  row.set_start(schedule.start);
  row.set_settled_to(schedule.looked_at);
  return row.SerializeAsString();
}

std::vector<StoredSchedule> ScheduleBook::hand_over() const {
  std::vector<StoredSchedule> rows;
  for (const auto& [name, entry] : entries_)
    if (!entry.configured && !entry.stored) rows.push_back({name, content_of(name)});
  return rows;
}

void ScheduleBook::take_over(const StoredSchedule& row) {
  if (!entries_.contains(row.name)) restore(row, false);
  arm();
}

void ScheduleBook::forget(const std::string& name) {
  if (entries_.at(name).stored) write_({name, {}});
  schedules_.remove(name);
  entries_.erase(name);
}

void ScheduleBook::restore(const std::vector<StoredSchedule>& rows) {
  for (const StoredSchedule& row : rows) {
    const auto known = entries_.find(row.name);
    if (known != entries_.end())
      write_({row.name, {}});  // it has become the configuration's
    else if (!restore(row, true))
      spdlog::error("schedule {}: what the store has of it cannot be read", row.name);
  }
  arm();
}

bool ScheduleBook::restore(const StoredSchedule& row, bool stored_there) {
  internal::StoredSchedule stored;
  v1::Schedule message;
  if (!stored.ParseFromString(row.content) || !message.ParseFromString(stored.schedule())) return false;
  auto settings = core_schedule(message);
  if (std::holds_alternative<ConnectError>(settings)) return false;
  core::Schedule schedule;
  schedule.settings = std::get<core::ScheduleSettings>(std::move(settings));
  schedule.start = stored.start();
  schedule.looked_at = stored.settled_to();
  schedule.last_task = parse_task_id(message.last_task_id());
  if (message.has_last_at()) schedule.last_run = message.last_at().seconds();
  schedule.runs = message.runs();
  schedule.missed = message.missed();
  schedule.skipped = message.skipped();
  schedules_.restore(std::move(schedule));
  Entry& entry = entries_[row.name];
  entry = {message, message.uid(), false, message.last_error(), stored_there};
  return true;
}

void ScheduleBook::on_accepted(const core::Accepted& accepted) { submitted_.erase(accepted.tag); }

void ScheduleBook::on_refused(const core::Refused& refused) {
  const auto submitted = submitted_.extract(refused.tag);
  const auto entry = submitted ? entries_.find(submitted.mapped()) : entries_.end();
  if (entry == entries_.end()) return;
  entry->second.last_error = explain(backend_, refused).message;
  spdlog::warn("schedule {}: its task was refused: {}", entry->first, entry->second.last_error);
}

void ScheduleBook::on_ring(bool clock_set) {
  const std::int64_t now = unix_seconds();
  if (clock_set) schedules_.clock_set(now);
  for (const std::string& name : schedules_.take_due(now)) {
    core::Schedule& schedule = *schedules_.find(name);
    if (core::overlap_decision(backend_.state(), schedule) == core::OverlapDecision::skip) {
      ++schedule.skipped;
      save(name);
      continue;
    }
    const auto submitted = submit(name);
    const auto* error = std::get_if<ConnectError>(&submitted);
    if (!error) continue;
    entries_.at(name).last_error = error->message;
    save(name);
    spdlog::warn("schedule {}: its task was refused: {}", name, error->message);
  }
  arm();
}

void ScheduleBook::arm() { timer_.set(schedules_.next_due()); }

void ScheduleBook::fill(const std::string& name, v1::Schedule& message) const {
  const Entry& entry = entries_.at(name);
  const core::Schedule& schedule = schedules_.all().at(name);
  message = entry.asked;
  message.clear_last_at();
  if (schedule.due) *message.mutable_next_at() = timestamp(*schedule.due);
  if (schedule.last_run) *message.mutable_last_at() = timestamp(*schedule.last_run);
  message.set_last_task_id(schedule.last_task ? to_string(*schedule.last_task) : "");
  message.set_runs(schedule.runs);
  message.set_missed(schedule.missed);
  message.set_skipped(schedule.skipped);
  message.set_last_error(entry.last_error);
  message.set_configured(entry.configured);
  message.set_uid(entry.uid);
}

}  // namespace poold::engine
