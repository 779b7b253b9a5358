// A call that is answered when tasks have ended, or when its time is over: what the waits for ids and for a
// group have in common. What they wait for and what they answer is theirs.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "daemon/engine/control/backend.hpp"
#include "daemon/engine/control/call.hpp"

namespace poold::engine {

class EndWaiter : public Watcher, public std::enable_shared_from_this<EndWaiter> {
 public:
  // For these tasks, one named twice counting twice: for all, or for `any` of them. `one_ended`: so has one
  // that is not among them. Answers at once where there is nothing to wait for.
  void begin(const std::vector<core::Sequence>& unfinished, bool one_ended,
             std::optional<std::int64_t> timeout_ns);
  void on_ended(const Record& record) override;

 protected:
  EndWaiter(Backend& backend, std::shared_ptr<Call> call, bool any);
  Backend& backend() const { return backend_; }
  virtual void reply(Call& call) = 0;

 private:
  void answer();

  Backend& backend_;
  std::shared_ptr<Call> call_;
  const bool any_;
  bool answered_ = false;
  std::size_t unfinished_ = 0;
  boost::asio::steady_timer timer_;
};

}  // namespace poold::engine
