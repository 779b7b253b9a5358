#include "daemon/engine/control/batch_check.hpp"

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

namespace poold::engine {
namespace {

// What the core would say to the tasks of one user's batch, one after the other.
class Rehearsal {
 public:
  Rehearsal(const core::State& state, std::uint32_t uid) : state_(state), uid_(uid) {}

  std::optional<core::Refusal> refusal(const core::Submit& submit) {
    if (submit.key) {
      const auto known = state_.keys.find(*submit.key);
      if (known != state_.keys.end()) return by_key(known->second.digest, submit);
      const auto [earlier, fresh] = keys_.emplace(*submit.key, submit.digest);
      if (!fresh) return by_key(earlier->second, submit);
    }
    const core::Pool& pool = state_.pools[submit.pool];
    if (const auto reason = core::refusal_of_submission(state_, pool, uid_)) return reason;
    const std::uint64_t before = added_[submit.pool]++;
    if (pool.pending() + before >= pool.settings.queue_size) return core::Refusal::queue_full;
    const auto own = pool.user_tasks.find(uid_);
    const std::uint64_t mine = before + (own == pool.user_tasks.end() ? 0 : own->second);
    if (pool.settings.user_tasks_max > 0 && mine >= pool.settings.user_tasks_max)
      return core::Refusal::user_full;
    return submit.options ? by_group(*submit.options) : std::nullopt;
  }

 private:
  static std::optional<core::Refusal> by_key(std::uint64_t digest, const core::Submit& submit) {
    return digest == submit.digest ? std::nullopt : std::optional(core::Refusal::key_reused);
  }

  std::optional<core::Refusal> by_group(const core::TaskOptions& options) {
    const auto reason = core::refusal_by_group(state_, options, uid_);
    if (reason && !(reason == core::Refusal::group_unknown && begun_.contains(options.after_group)))
      return reason;
    if (closed_.contains(options.group)) return core::Refusal::group_closed;
    if (!options.group.empty()) begun_.insert(options.group);
    if (!options.after_group.empty() && has_unfinished(options.after_group))
      closed_.insert(options.after_group);
    return std::nullopt;
  }

  bool has_unfinished(const std::string& group) const {
    const auto known = state_.groups.find({uid_, group});
    return begun_.contains(group) || (known != state_.groups.end() && known->second->unfinished() > 0);
  }

  const core::State& state_;
  const std::uint32_t uid_;
  std::unordered_map<std::string, std::uint64_t> keys_;  // of the batch, with their digests
  std::map<core::PoolIndex, std::uint64_t> added_;
  std::set<std::string> begun_, closed_;  // groups, by tasks of the batch
};

}  // namespace

std::variant<std::vector<core::Submit>, ConnectError> make_batch(
    Backend& backend, const google::protobuf::RepeatedPtrField<v1::TaskSpec>& specs, std::uint32_t uid,
    const Rights& rights) {
  std::vector<core::Submit> batch;
  batch.reserve(static_cast<std::size_t>(specs.size()));
  Rehearsal rehearsal(backend.state(), uid);
  for (int i = 0; i < specs.size(); ++i) {
    const auto named = [i](ConnectError error) {
      error.message = "tasks[" + std::to_string(i) + "]: " + error.message;
      return error;
    };
    auto made = make_submission(backend, specs[i], uid, rights);
    if (const auto* error = std::get_if<ConnectError>(&made)) return named(*error);
    if (specs[i].when_full() == v1::TaskSpec::WAIT)
      return named({Code::invalid_argument,
                    "whenFull: WAIT is not for a batch of which all are accepted or none; accepted: REFUSE"});
    auto& submit = std::get<core::Submit>(made);
    if (const auto refusal = rehearsal.refusal(submit))
      return named(explain(backend, core::Refused{0, 0, *refusal, submit.pool}));
    batch.push_back(std::move(submit));
  }
  return batch;
}

}  // namespace poold::engine
