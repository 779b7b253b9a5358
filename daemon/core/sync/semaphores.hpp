// Counted semaphores that know who holds their permits, so that they come back when a holder is gone.
//
// Every acquire() is answered exactly once: at once, when something else happens, or by give_up(). Who waits
// is served in order. Free and held permits together are never more than permits_max; permits that were
// consumed are neither.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "daemon/core/sync/words.hpp"

namespace poold::sync {

inline constexpr std::uint32_t permits_max = 2'147'483'647;
// Of one user. A lock is a semaphore, and scripts make many.
inline constexpr std::uint32_t user_semaphores_max = 100'000;

struct SemaphoreSettings {
  std::string name;
  std::uint32_t permits = 1;  // to begin with
  std::uint32_t permits_max = sync::permits_max;
  std::uint32_t uid = 0;
  bool shared = false;
  HolderNumber bound_to = 0;  // goes with this connection; 0: stays
};

// What an acquire() wants to do with the permits.
enum class Taking : std::uint8_t {
  hold,     // they come back when they are released, or with the end of the holder
  consume,  // they come back when they are released
  none,     // wait until they are there
};

struct Holding {
  Holder holder;
  std::uint32_t permits = 0;
};
struct Acquirer {
  CallNumber call = 0;
  Holder holder;
  std::uint32_t count = 1;
  Taking taking = Taking::hold;
};

struct Semaphore {
  std::uint64_t number = 0;  // never used twice
  SemaphoreSettings settings;
  std::uint32_t free = 0;
  std::vector<Holding> holdings;  // those who have held longest first
  std::deque<Acquirer> line;
  std::uint64_t returned = 0;  // permits of holders that were gone
  std::uint32_t held() const;
};

struct SemaphoreAnswer {
  CallNumber call = 0;
  bool acquired = false;
  Refusal refusal = Refusal::none;
};
using SemaphoreAnswers = std::vector<SemaphoreAnswer>;

struct Release {
  std::string name;
  std::uint32_t count = 1;
  bool waiters_only = false;
  bool clamp = false;
  bool own_only = false;
};

class Semaphores {
 public:
  Refusal create(SemaphoreSettings settings);
  const Semaphore* find(const std::string& name) const;
  const std::map<std::string, std::unique_ptr<Semaphore>>& all() const { return semaphores_; }

  void acquire(CallNumber call, const Holder& holder, const std::string& name, std::uint32_t count,
               Taking taking, bool wait, SemaphoreAnswers& answers);
  // How many were released.
  std::variant<std::uint32_t, Refusal> release(const Holder& holder, const Release& release,
                                               SemaphoreAnswers& answers);
  // Would release() be refused?
  Refusal refusal_of(const Holder& holder, const Release& release) const;
  // Its time is over (`answer`), or nobody waits for it any more. Unknown calls are answered already.
  void give_up(CallNumber call, bool answer, SemaphoreAnswers& answers);
  Refusal remove(const std::string& name, SemaphoreAnswers& answers);

  // What this one was answered before it has read.
  void confirm(HolderNumber holder) { consumed_.erase(holder); }
  // It is gone; `unread`: without having read its last answer.
  void gone(HolderNumber holder, bool unread, SemaphoreAnswers& answers);

  // Empty, or what is wrong.
  std::string broken_invariant() const;

 private:
  struct Consumed {
    std::string name;
    std::uint64_t number = 0;
    std::uint32_t permits = 0;
  };

  Semaphore* find_semaphore(const std::string& name);
  void settle(Semaphore& semaphore, SemaphoreAnswers& answers);
  void hold(Semaphore& semaphore, const Holder& holder, std::uint32_t count);
  void forget_holding(HolderNumber holder, const std::string& name);
  void erase(Semaphore& semaphore, SemaphoreAnswers& answers);

  std::map<std::string, std::unique_ptr<Semaphore>> semaphores_;
  std::unordered_map<CallNumber, std::string> waiting_;  // call → its semaphore
  std::unordered_map<HolderNumber, Consumed> consumed_;  // by an answer that may be unread
  std::unordered_map<HolderNumber, std::set<std::string>> held_by_;
  std::unordered_map<std::uint32_t, std::uint32_t> users_;  // semaphores by owner
  std::uint64_t last_number_ = 0;
};

}  // namespace poold::sync
