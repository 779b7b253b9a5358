#include "tests/sim/trace.hpp"

#include "common/overloaded.hpp"
#include "tests/unit/core/record.hpp"

namespace poold::sim {
namespace {

void mix(Trace& trace, const core::WorkerRef& worker) {
  trace.mix(std::uint64_t{worker.pool} << 48 ^ std::uint64_t{worker.slot} << 32 ^ worker.generation);
}

}  // namespace

void Trace::effect(const core::State& state, const core::Effect& effect) {
  mix(effect.index());
  std::visit(Overloaded{
                 [&](const core::StartWorker& e) { mix(std::uint64_t{e.pool} << 32 ^ e.slot); },
                 [&](const core::ReturnTasks& e) {
                   for (const core::Sequence task : e.tasks) mix(task);
                 },
                 [&](const core::CancelAttempt& e) { mix(e.task); },
                 [&](const core::SignalAttempt& e) { mix(e.task); },
                 [&](const core::PoolThrottled& e) { mix(static_cast<std::uint64_t>(e.delay.count())); },
                 [&](const core::PoolHealed& e) { mix(e.pool); },
                 [&](const core::StopComplete&) {},
                 [&](const auto& e) { sim::mix(*this, e.worker); },
             },
             effect);
  say([&] { return core::line(state, effect); });
}

void Trace::promise(const core::State& state, const core::Promise& promise) {
  mix(promise.index());
  std::visit(Overloaded{
                 [&](const core::Accepted& e) { mix(e.id.low); },
                 [&](const core::Refused& e) { mix(static_cast<std::uint64_t>(e.refusal)); },
                 [&](const core::Dispatch& e) {
                   mix(e.task);
                   sim::mix(*this, e.worker);
                 },
                 [&](const core::Finished& e) {
                   mix(e.task.id.low);
                   mix(static_cast<std::uint64_t>(e.kind));
                 },
                 [&](const core::AttemptEnded& e) { mix(e.task << 32 ^ e.attempt); },
             },
             promise);
  say([&] { return core::line(state, promise); });
}

}  // namespace poold::sim
