// Bounded queues of messages: who may put and who gets, in which order, and where a message goes that its
// getter could not read.
//
// Every put() and get() is answered exactly once: at once, when something else happens, or by give_up(). A
// message that was given stays in flight until its getter has said something else (confirm) or is gone: then
// it was read, or goes back to the head. Messages in flight are not in the queue, and not bounded by it.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/core/sync/words.hpp"

namespace poold::sync {

struct Message {
  std::string content_type;
  std::string data;
  std::size_t size() const { return content_type.size() + data.size(); }
  bool operator==(const Message&) const = default;
};
using Messages = std::vector<Message>;

inline constexpr std::uint32_t queue_length_max = 1'000'000;
inline constexpr std::uint64_t queue_bytes_default = 64 << 20;
inline constexpr std::uint64_t queue_bytes_max = 1 << 30;
// Of one user: enough for scripts that forget to delete, little enough for the tables of all users.
inline constexpr std::uint32_t user_queues_max = 10'000;
inline constexpr std::uint64_t user_bytes_max = std::uint64_t{2} << 30;
// What one get() gives, unless a single message is larger: half a frame.
inline constexpr std::size_t get_bytes_max = 8 << 20;

struct QueueSettings {
  std::string name;
  std::uint32_t length_max = queue_length_max;
  std::uint64_t bytes_max = queue_bytes_default;
  std::uint32_t uid = 0;
  bool shared = false;
  HolderNumber bound_to = 0;  // goes with this connection; 0: stays
};

struct Putter {
  CallNumber call = 0;
  std::deque<Message> messages;  // that are not in yet
  std::uint32_t put = 0;
};
struct Getter {
  CallNumber call = 0;
  Holder holder;
  std::uint32_t count = 1;
};

struct Queue {
  std::uint64_t number = 0;  // never used twice
  QueueSettings settings;
  std::deque<Message> messages;
  std::uint64_t bytes = 0;
  std::deque<Putter> putters;
  std::deque<Getter> getters;
  std::uint32_t flights = 0;  // gets whose messages may come back
  std::uint64_t put = 0;      // since it was made
  bool closed = false;
};

struct QueueAnswer {
  enum class Kind : std::uint8_t { put, got, refused };
  CallNumber call = 0;
  Kind kind = Kind::put;
  std::uint32_t put = 0;
  std::shared_ptr<const Messages> messages;  // null: none
  Refusal refusal = Refusal::none;
};
using QueueAnswers = std::vector<QueueAnswer>;

class Queues {
 public:
  Refusal create(QueueSettings settings);
  const Queue* find(const std::string& name) const;
  const std::map<std::string, std::unique_ptr<Queue>>& all() const { return queues_; }

  void put(CallNumber call, const std::string& name, Messages messages, bool wait, QueueAnswers& answers);
  void get(CallNumber call, const Holder& holder, const std::string& name, std::uint32_t count, bool wait,
           QueueAnswers& answers);
  // Its time is over (`answer`), or nobody waits for it any more. Unknown calls are answered already.
  void give_up(CallNumber call, bool answer, QueueAnswers& answers);
  Refusal remove(const std::string& name, QueueAnswers& answers);
  // Takes no message any more, and goes when it is empty.
  Refusal close(const std::string& name, QueueAnswers& answers);

  // What this one was given before it has read.
  void confirm(HolderNumber holder, QueueAnswers& answers);
  // It is gone; `unread`: without having read its last answer.
  void gone(HolderNumber holder, bool unread, QueueAnswers& answers);

  // Empty, or what is wrong.
  std::string broken_invariant() const;

 private:
  struct Flight {
    std::uint64_t queue = 0;
    std::string name;
    std::shared_ptr<Messages> messages;
  };

  Queue* find_queue(const std::string& name);
  void settle(Queue& queue, QueueAnswers& answers);
  bool take_in(Queue& queue, QueueAnswers& answers);
  bool give_out(Queue& queue, QueueAnswers& answers);
  // Deletes it if it is closed and nothing is left; then the reference is no good.
  void drop_if_done(Queue& queue, QueueAnswers& answers);
  void erase(Queue& queue, QueueAnswers& answers);
  void give_back_bytes(std::uint32_t uid, std::uint64_t bytes);

  std::map<std::string, std::unique_ptr<Queue>> queues_;
  std::unordered_map<CallNumber, std::string> waiting_;  // call → its queue
  std::unordered_map<HolderNumber, Flight> flights_;
  struct User {
    std::uint32_t queues = 0;
    std::uint64_t bytes = 0;  // in its queues, in flight, and in puts that wait
  };
  std::unordered_map<std::uint32_t, User> users_;
  std::uint64_t last_number_ = 0;
};

}  // namespace poold::sync
