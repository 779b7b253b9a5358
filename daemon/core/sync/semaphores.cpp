#include "daemon/core/sync/semaphores.hpp"

#include <algorithm>
#include <utility>

#include "common/invariant.hpp"

namespace poold::sync {
namespace {

// So many of these waiters can be served with `count` permits, one after the other; what they take.
std::uint32_t wanted_by_line(const std::deque<Acquirer>& line, std::uint32_t count) {
  std::uint32_t wanted = 0;
  for (const Acquirer& waiter : line) {
    if (waiter.count > count - wanted) break;
    if (waiter.taking != Taking::none) wanted += waiter.count;
  }
  return wanted;
}

std::uint32_t held_by(const Semaphore& semaphore, HolderNumber holder) {
  for (const Holding& holding : semaphore.holdings)
    if (holding.holder.number == holder) return holding.permits;
  return 0;
}

// How many permits a release sets free, or why none.
std::variant<std::uint32_t, Refusal> released_by(const Semaphore& semaphore, const Holder& holder,
                                                 const Release& release) {
  std::uint32_t count = release.count;
  if (release.waiters_only) {
    const std::uint32_t reach = std::min(release.count, permits_max - semaphore.free) + semaphore.free;
    const std::uint32_t wanted = wanted_by_line(semaphore.line, reach);
    count = std::min(count, wanted > semaphore.free ? wanted - semaphore.free : 0);
  }
  if (release.own_only && held_by(semaphore, holder.number) < count) return Refusal::not_held;
  const std::uint32_t held = semaphore.held();
  if (count <= held) return count;
  // What nobody holds is new.
  const std::uint32_t room = semaphore.settings.permits_max - semaphore.free - held;
  if (count - held <= room) return count;
  if (release.clamp) return held + room;
  return Refusal::over_maximum;
}

}  // namespace

std::uint32_t Semaphore::held() const {
  std::uint32_t held = 0;
  for (const Holding& holding : holdings) held += holding.permits;
  return held;
}

Refusal Semaphores::create(SemaphoreSettings settings) {
  if (semaphores_.contains(settings.name)) return Refusal::exists;
  std::uint32_t& owned = users_[settings.uid];
  if (owned >= user_semaphores_max) return Refusal::too_many;
  ++owned;
  auto semaphore = std::make_unique<Semaphore>();
  semaphore->number = ++last_number_;
  semaphore->free = settings.permits;
  semaphore->settings = std::move(settings);
  std::string name = semaphore->settings.name;
  semaphores_.emplace(std::move(name), std::move(semaphore));
  return Refusal::none;
}

const Semaphore* Semaphores::find(const std::string& name) const {
  const auto at = semaphores_.find(name);
  return at == semaphores_.end() ? nullptr : at->second.get();
}

Semaphore* Semaphores::find_semaphore(const std::string& name) {
  const auto at = semaphores_.find(name);
  return at == semaphores_.end() ? nullptr : at->second.get();
}

void Semaphores::acquire(CallNumber call, const Holder& holder, const std::string& name, std::uint32_t count,
                         Taking taking, bool wait, SemaphoreAnswers& answers) {
  Semaphore* semaphore = find_semaphore(name);
  if (!semaphore) return answers.push_back({call, false, Refusal::unknown});
  if (count > semaphore->settings.permits_max) return answers.push_back({call, false, Refusal::never_enough});
  semaphore->line.push_back({call, holder, count, taking});
  waiting_.emplace(call, name);
  settle(*semaphore, answers);
  if (!wait) give_up(call, true, answers);
}

Refusal Semaphores::refusal_of(const Holder& holder, const Release& release) const {
  const Semaphore* semaphore = find(release.name);
  if (!semaphore) return Refusal::unknown;
  const auto released = released_by(*semaphore, holder, release);
  const auto* refusal = std::get_if<Refusal>(&released);
  return refusal ? *refusal : Refusal::none;
}

std::variant<std::uint32_t, Refusal> Semaphores::release(const Holder& holder, const Release& release,
                                                         SemaphoreAnswers& answers) {
  Semaphore* semaphore = find_semaphore(release.name);
  if (!semaphore) return Refusal::unknown;
  const auto released = released_by(*semaphore, holder, release);
  if (std::holds_alternative<Refusal>(released)) return released;
  const std::uint32_t count = std::get<std::uint32_t>(released);
  // A process may have several connections: its other ones come before those of others.
  std::uint32_t left = count;
  const auto take = [&](auto&& matches) {
    for (Holding& holding : semaphore->holdings) {
      if (!matches(holding.holder)) continue;
      const std::uint32_t taken = std::min(left, holding.permits);
      holding.permits -= taken;
      left -= taken;
    }
  };
  take([&](const Holder& other) { return other.number == holder.number; });
  take([&](const Holder& other) { return other.pid == holder.pid; });
  take([](const Holder&) { return true; });
  std::erase_if(semaphore->holdings, [&](const Holding& holding) {
    if (holding.permits == 0) forget_holding(holding.holder.number, release.name);
    return holding.permits == 0;
  });
  semaphore->free += count;
  settle(*semaphore, answers);
  return count;
}

void Semaphores::give_up(CallNumber call, bool answer, SemaphoreAnswers& answers) {
  const auto waits = waiting_.find(call);
  if (waits == waiting_.end()) return;
  Semaphore* semaphore = find_semaphore(waits->second);
  invariant(semaphore != nullptr, "a semaphore that goes answers those that wait for it");
  waiting_.erase(waits);
  std::erase_if(semaphore->line, [call](const Acquirer& waiter) { return waiter.call == call; });
  if (answer) answers.push_back({call, false, Refusal::none});
  settle(*semaphore, answers);  // one that wants fewer may have stood behind it
}

Refusal Semaphores::remove(const std::string& name, SemaphoreAnswers& answers) {
  Semaphore* semaphore = find_semaphore(name);
  if (!semaphore) return Refusal::unknown;
  erase(*semaphore, answers);
  return Refusal::none;
}

void Semaphores::gone(HolderNumber holder, bool unread, SemaphoreAnswers& answers) {
  const auto consumed = consumed_.find(holder);
  if (consumed != consumed_.end()) {
    const Consumed lost = std::move(consumed->second);
    consumed_.erase(consumed);
    Semaphore* semaphore = find_semaphore(lost.name);
    if (unread && semaphore && semaphore->number == lost.number) {
      const std::uint32_t room = semaphore->settings.permits_max - semaphore->free - semaphore->held();
      semaphore->free += std::min(lost.permits, room);
      settle(*semaphore, answers);
    }
  }
  if (const auto at = held_by_.find(holder); at != held_by_.end()) {
    const std::set<std::string> names = std::move(at->second);
    held_by_.erase(at);
    for (const std::string& name : names) {
      Semaphore* semaphore = find_semaphore(name);
      invariant(semaphore != nullptr, "a semaphore that goes is held by nobody");
      const std::uint32_t permits = held_by(*semaphore, holder);
      std::erase_if(semaphore->holdings,
                    [holder](const Holding& holding) { return holding.holder.number == holder; });
      semaphore->free += permits;
      semaphore->returned += permits;
      settle(*semaphore, answers);
    }
  }
  std::vector<Semaphore*> bound;
  for (const auto& [name, semaphore] : semaphores_)
    if (semaphore->settings.bound_to == holder) bound.push_back(semaphore.get());
  for (Semaphore* semaphore : bound) erase(*semaphore, answers);
}

void Semaphores::settle(Semaphore& semaphore, SemaphoreAnswers& answers) {
  while (!semaphore.line.empty() && semaphore.line.front().count <= semaphore.free) {
    const Acquirer first = semaphore.line.front();
    semaphore.line.pop_front();
    waiting_.erase(first.call);
    switch (first.taking) {
      case Taking::hold:
        semaphore.free -= first.count;
        hold(semaphore, first.holder, first.count);
        break;
      case Taking::consume:
        semaphore.free -= first.count;
        consumed_[first.holder.number] = {semaphore.settings.name, semaphore.number, first.count};
        break;
      case Taking::none:
        break;
    }
    answers.push_back({first.call, true, Refusal::none});
  }
}

void Semaphores::hold(Semaphore& semaphore, const Holder& holder, std::uint32_t count) {
  for (Holding& holding : semaphore.holdings)
    if (holding.holder.number == holder.number) {
      holding.permits += count;
      return;
    }
  semaphore.holdings.push_back({holder, count});
  held_by_[holder.number].insert(semaphore.settings.name);
}

void Semaphores::forget_holding(HolderNumber holder, const std::string& name) {
  const auto known = held_by_.find(holder);
  invariant(known != held_by_.end() && known->second.erase(name) == 1,
            "every holding is known by its holder");
  if (known->second.empty()) held_by_.erase(known);
}

void Semaphores::erase(Semaphore& semaphore, SemaphoreAnswers& answers) {
  for (const Acquirer& waiter : semaphore.line) {
    waiting_.erase(waiter.call);
    answers.push_back({waiter.call, false, Refusal::unknown});
  }
  for (const Holding& holding : semaphore.holdings)
    forget_holding(holding.holder.number, semaphore.settings.name);
  --users_[semaphore.settings.uid];
  semaphores_.erase(std::string(semaphore.settings.name));
}

}  // namespace poold::sync
