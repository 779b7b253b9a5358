#include "daemon/engine/control/sync_desk.hpp"

#include <google/protobuf/util/time_util.h>

#include <cstdlib>
#include <utility>

namespace poold::engine {

// A call that is not answered yet. It is held by its connection: when that closes, nobody waits any more.
class SyncDesk::Waiting {
 public:
  Waiting(std::weak_ptr<SyncDesk> desk, sync::CallNumber number) : desk_(std::move(desk)), number_(number) {}
  ~Waiting() {
    if (const auto desk = desk_.lock()) desk->give_up(number_, false);
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

  sync::CallNumber number() const { return number_; }
  QueueAnswered queue_answered;
  SemaphoreAnswered semaphore_answered;
  std::optional<boost::asio::steady_timer> timer;

 private:
  std::weak_ptr<SyncDesk> desk_;
  const sync::CallNumber number_;
};

// A connection that holds something, or did.
class SyncDesk::Seat : public Belonging {
 public:
  Seat(std::weak_ptr<SyncDesk> desk, sync::HolderNumber holder) : desk_(std::move(desk)), holder_(holder) {}
  void on_next_request() override {
    if (const auto desk = desk_.lock()) desk->on_next_request(holder_);
  }
  void on_gone(bool unread) override {
    if (const auto desk = desk_.lock()) desk->on_gone(holder_, unread);
  }

 private:
  std::weak_ptr<SyncDesk> desk_;
  const sync::HolderNumber holder_;
};

sync::Holder SyncDesk::holder(const std::shared_ptr<Call>& call) {
  const sync::HolderNumber number = call->connection_number();
  std::weak_ptr<Seat>& known = seats_[number];
  if (known.expired()) {
    const auto seat = std::make_shared<Seat>(weak_from_this(), number);
    known = seat;
    call->keep(seat);
  }
  return {number, call->peer().pid, call->peer().uid};
}

std::string SyncDesk::unused_name(std::string_view kind) {
  // The engine's start makes it differ from what an earlier engine gave out.
  return std::string(kind) + '-' + std::to_string(backend_.facts().engine_started_unix_ms) + '-' +
         std::to_string(++last_name_);
}

std::shared_ptr<SyncDesk::Waiting> SyncDesk::enter(const std::shared_ptr<Call>& call) {
  const auto waiting = std::make_shared<Waiting>(weak_from_this(), ++last_call_);
  waiting_[waiting->number()] = waiting;
  call->hold(waiting);
  return waiting;
}

void SyncDesk::set_timer(const std::shared_ptr<Waiting>& waiting, const Timeout& timeout) {
  if (!timeout || !waiting_.contains(waiting->number())) return;
  waiting->timer.emplace(backend_.loop());
  waiting->timer->expires_after(*timeout);
  waiting->timer->async_wait(
      [weak = weak_from_this(), number = waiting->number()](const boost::system::error_code& error) {
        const auto desk = weak.lock();
        if (error || !desk) return;
        desk->backend_.now();
        desk->give_up(number, true);
      });
}

void SyncDesk::put(const std::shared_ptr<Call>& call, const std::string& queue, sync::Messages messages,
                   Timeout timeout, QueueAnswered answered) {
  const auto waiting = enter(call);
  waiting->queue_answered = std::move(answered);
  sync::QueueAnswers answers;
  const bool wait = !timeout || timeout->count() > 0;
  queues_.put(waiting->number(), queue, std::move(messages), wait, answers);
  answer(answers);
  set_timer(waiting, timeout);
}

void SyncDesk::get(const std::shared_ptr<Call>& call, const std::string& queue, std::uint32_t count,
                   Timeout timeout, QueueAnswered answered) {
  const auto waiting = enter(call);
  waiting->queue_answered = std::move(answered);
  sync::QueueAnswers answers;
  const bool wait = !timeout || timeout->count() > 0;
  queues_.get(waiting->number(), holder(call), queue, count, wait, answers);
  answer(answers);
  set_timer(waiting, timeout);
}

void SyncDesk::acquire(const std::shared_ptr<Call>& call, const std::string& semaphore, std::uint32_t count,
                       sync::Taking taking, Timeout timeout, SemaphoreAnswered answered) {
  const auto waiting = enter(call);
  waiting->semaphore_answered = std::move(answered);
  sync::SemaphoreAnswers answers;
  const bool wait = !timeout || timeout->count() > 0;
  semaphores_.acquire(waiting->number(), holder(call), semaphore, count, taking, wait, answers);
  answer(answers);
  set_timer(waiting, timeout);
}

void SyncDesk::restore(sync::QueueSettings settings, sync::Messages messages, bool closed) {
  const std::string name = settings.name;
  if (create(std::move(settings)) != sync::Refusal::none) return;
  sync::QueueAnswers nobodys;
  if (!messages.empty()) queues_.put(++last_call_, name, std::move(messages), false, nobodys);
  if (closed) queues_.close(name, nobodys);
}

sync::Refusal SyncDesk::remove_queue(const std::string& name, bool drain) {
  sync::QueueAnswers answers;
  const auto refusal = drain ? queues_.close(name, answers) : queues_.remove(name, answers);
  answer(answers);
  return refusal;
}

sync::Refusal SyncDesk::remove_semaphore(const std::string& name) {
  sync::SemaphoreAnswers answers;
  const auto refusal = semaphores_.remove(name, answers);
  answer(answers);
  return refusal;
}

std::variant<std::uint32_t, sync::Refusal> SyncDesk::release(const sync::Holder& holder,
                                                             const sync::Release& release) {
  sync::SemaphoreAnswers answers;
  const auto released = semaphores_.release(holder, release, answers);
  answer(answers);
  return released;
}

void SyncDesk::give_up(sync::CallNumber number, bool answer_it) {
  if (!waiting_.contains(number)) return;
  if (!answer_it) waiting_.erase(number);
  // Only one of the two knows it.
  sync::QueueAnswers of_queues;
  queues_.give_up(number, answer_it, of_queues);
  answer(of_queues);
  sync::SemaphoreAnswers of_semaphores;
  semaphores_.give_up(number, answer_it, of_semaphores);
  answer(of_semaphores);
}

void SyncDesk::on_next_request(sync::HolderNumber holder) {
  semaphores_.confirm(holder);
  sync::QueueAnswers answers;
  queues_.confirm(holder, answers);
  answer(answers);
}

void SyncDesk::on_gone(sync::HolderNumber holder, bool unread) {
  seats_.erase(holder);
  sync::QueueAnswers of_queues;
  queues_.gone(holder, unread, of_queues);
  answer(of_queues);
  sync::SemaphoreAnswers of_semaphores;
  semaphores_.gone(holder, unread, of_semaphores);
  answer(of_semaphores);
}

std::shared_ptr<SyncDesk::Waiting> SyncDesk::take(sync::CallNumber number) {
  const auto at = waiting_.find(number);
  if (at == waiting_.end()) return nullptr;
  auto waiting = at->second.lock();
  waiting_.erase(at);
  return waiting;
}

void SyncDesk::answer(const sync::QueueAnswers& answers) {
  for (const sync::QueueAnswer& one : answers)
    if (const auto waiting = take(one.call)) waiting->queue_answered(one);
}

void SyncDesk::answer(const sync::SemaphoreAnswers& answers) {
  for (const sync::SemaphoreAnswer& one : answers)
    if (const auto waiting = take(one.call)) waiting->semaphore_answered(one);
}

bool may_see(const Call& call, const Owned& owned) {
  return call.rights().sees_everything() || owned.shared || call.rights().may_change_what_is_of(owned.uid);
}

std::optional<ConnectError> refusal_to_use(const Call& call, const SyncObject& object,
                                           const std::optional<Owned>& known) {
  if (!known || !may_see(call, *known)) return explain(object, sync::Refusal::unknown);
  if (known->shared || call.rights().may_change_what_is_of(known->uid)) return std::nullopt;
  return ConnectError{Code::permission_denied, std::string(object.field) + ": " + std::string(object.kind) +
                                                   " " + quoted(object.name) + " is of uid " +
                                                   std::to_string(known->uid) + " and not shared"};
}

std::optional<ConnectError> refusal_to_delete(const Call& call, const SyncObject& object,
                                              const Owned& known) {
  if (call.rights().may_change_what_is_of(known.uid)) return std::nullopt;
  return ConnectError{Code::permission_denied, std::string(object.field) + ": only its owner, uid " +
                                                   std::to_string(known.uid) + ", may delete a shared " +
                                                   std::string(object.kind)};
}

ConnectError explain(const SyncObject& object, sync::Refusal refusal) {
  const std::string field = std::string(object.field) + ": ";
  const std::string kind(object.kind);
  const std::string what = kind + ' ' + quoted(object.name);
  switch (refusal) {
    case sync::Refusal::none:
      break;
    case sync::Refusal::unknown:
      return {Code::not_found, field + "there is no " + what + ", or not any more"};
    case sync::Refusal::exists:
      return {Code::already_exists, field + "there is a " + what + " already; orOpen takes it as it is"};
    case sync::Refusal::too_many:
      return {Code::resource_exhausted,
              field + "you have as many " + kind + "s as one user may (" +
                  std::to_string(kind == "queue" ? sync::user_queues_max : sync::user_semaphores_max) + ")"};
    case sync::Refusal::too_large:
      return {Code::invalid_argument, "messages: one is larger than all that " + what + " takes (bytesMax)"};
    case sync::Refusal::owner_full:
      return {Code::resource_exhausted, "messages: the queues of the owner of " + what +
                                            " hold as much as one user's may (" +
                                            std::to_string(sync::user_bytes_max) + " bytes)"};
    case sync::Refusal::closed:
      return {Code::failed_precondition, field + what + " was closed and takes no more messages"};
    case sync::Refusal::never_enough:
      return {Code::failed_precondition, "count: " + what + " never has so many permits (permitsMax)"};
    case sync::Refusal::not_held:
      return {Code::failed_precondition, "count: this connection does not hold so many permits of " + what};
    case sync::Refusal::over_maximum:
      return {Code::failed_precondition,
              "count: " + what + " would have more permits than it may (permitsMax): released too often"};
  }
  std::abort();
}

std::optional<ConnectError> read_timeout(bool present, const google::protobuf::Duration& from,
                                         SyncDesk::Timeout& timeout) {
  // Longer is the same as no limit, and would not fit into nanoseconds.
  constexpr std::int64_t seconds_max = std::int64_t{100} * 365 * 24 * 3600;
  if (!present || from.seconds() > seconds_max) return std::nullopt;
  if (from.seconds() < 0 || from.nanos() < 0)
    return ConnectError{Code::invalid_argument, "timeout: negative; leave it out to wait without a limit"};
  timeout = std::chrono::seconds(from.seconds()) + std::chrono::nanoseconds(from.nanos());
  return std::nullopt;
}

std::shared_ptr<SyncDesk> add_sync_methods(Router& router) {
  const auto desk = std::make_shared<SyncDesk>(router.backend());
  add_queue_methods(router, desk);
  add_semaphore_methods(router, desk);
  return desk;
}

}  // namespace poold::engine
