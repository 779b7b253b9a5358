// Between calls and the core's queues and semaphores: which call waits for which answer, whose connection is
// which holder, and time-outs. What is decided is decided in daemon/core/sync.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "daemon/core/sync/queues.hpp"
#include "daemon/core/sync/semaphores.hpp"
#include "daemon/engine/control/router.hpp"

namespace poold::engine {

class SyncDesk : public std::enable_shared_from_this<SyncDesk> {
 public:
  explicit SyncDesk(Backend& backend) : backend_(backend) {}

  const sync::Queues& queues() const { return queues_; }
  const sync::Semaphores& semaphores() const { return semaphores_; }

  // The call's connection as a holder; from now on its end is noticed.
  sync::Holder holder(const std::shared_ptr<Call>& call);
  // A name that nothing has had.
  std::string unused_name(std::string_view kind);

  // Changes that are answered at once; whoever else is concerned is answered, too.
  sync::Refusal create(sync::QueueSettings settings) { return queues_.create(std::move(settings)); }
  sync::Refusal create(sync::SemaphoreSettings settings) { return semaphores_.create(std::move(settings)); }
  // As another engine has handed it over.
  void restore(sync::QueueSettings settings, sync::Messages messages, bool closed);
  sync::Refusal remove_queue(const std::string& name, bool drain);
  sync::Refusal remove_semaphore(const std::string& name);
  std::variant<std::uint32_t, sync::Refusal> release(const sync::Holder& holder,
                                                     const sync::Release& release);

  // Calls that wait. `answer` is called once, unless the connection closes before.
  using QueueAnswered = std::function<void(const sync::QueueAnswer&)>;
  using SemaphoreAnswered = std::function<void(const sync::SemaphoreAnswer&)>;
  // Absent: for ever. 0: not at all.
  using Timeout = std::optional<std::chrono::nanoseconds>;
  void put(const std::shared_ptr<Call>& call, const std::string& queue, sync::Messages messages,
           Timeout timeout, QueueAnswered answered);
  void get(const std::shared_ptr<Call>& call, const std::string& queue, std::uint32_t count, Timeout timeout,
           QueueAnswered answered);
  void acquire(const std::shared_ptr<Call>& call, const std::string& semaphore, std::uint32_t count,
               sync::Taking taking, Timeout timeout, SemaphoreAnswered answered);

 private:
  class Waiting;
  class Seat;

  std::shared_ptr<Waiting> enter(const std::shared_ptr<Call>& call);
  void set_timer(const std::shared_ptr<Waiting>& waiting, const Timeout& timeout);
  std::shared_ptr<Waiting> take(sync::CallNumber number);
  void give_up(sync::CallNumber number, bool answer);
  void on_next_request(sync::HolderNumber holder);
  void on_gone(sync::HolderNumber holder, bool unread);
  void answer(const sync::QueueAnswers& answers);
  void answer(const sync::SemaphoreAnswers& answers);

  Backend& backend_;
  sync::Queues queues_;
  sync::Semaphores semaphores_;
  sync::CallNumber last_call_ = 0;
  std::unordered_map<sync::CallNumber, std::weak_ptr<Waiting>> waiting_;
  std::unordered_map<sync::HolderNumber, std::weak_ptr<Seat>> seats_;
  std::uint64_t last_name_ = 0;
};

// What the two services say alike.
struct SyncObject {
  std::string_view field;  // of the request, that names it
  std::string_view kind;   // "queue"
  const std::string& name;
};
ConnectError explain(const SyncObject& object, sync::Refusal refusal);
// Whose a queue or a semaphore is, and whether others may use it.
struct Owned {
  std::uint32_t uid = 0;
  bool shared = false;
};
template <class Thing>
std::optional<Owned> owned(const Thing* thing) {
  if (!thing) return std::nullopt;
  return Owned{thing->settings.uid, thing->settings.shared};
}
bool may_see(const Call& call, const Owned& owned);
// Nothing if the caller may use what is there (`known`). What one may not see is not there.
std::optional<ConnectError> refusal_to_use(const Call& call, const SyncObject& object,
                                           const std::optional<Owned>& known);
// Deleting what others use is not a part of using it.
std::optional<ConnectError> refusal_to_delete(const Call& call, const SyncObject& object, const Owned& known);
// Absent: nothing. An error if it is negative.
std::optional<ConnectError> read_timeout(bool present, const google::protobuf::Duration& from,
                                         SyncDesk::Timeout& timeout);

// Each adds the methods of one service.
void add_queue_methods(Router& router, const std::shared_ptr<SyncDesk>& desk);
void add_semaphore_methods(Router& router, const std::shared_ptr<SyncDesk>& desk);

}  // namespace poold::engine
