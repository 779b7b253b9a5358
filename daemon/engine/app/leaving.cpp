// The last moments: nobody who got through to this engine is left without an answer.
//
// From now on clients queue in the socket's backlog, for the next daemon where a service manager keeps the
// socket. Those that were accepted and have not been answered yet are served, for a moment: who says nothing
// is not waited for.
#include <boost/asio/post.hpp>

#include "daemon/engine/app/engine.hpp"

namespace poold::engine {
namespace {

// A client that connects sends its first request in the next instant, unless it is stopped itself.
constexpr std::chrono::milliseconds farewell_max{250};

}  // namespace

void Engine::leave() {
  if (listener_) listener_->stop();
  leaving_ = true;
  leave_timer_.expires_after(farewell_max);
  leave_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) end_serving();
  });
  // A turn of its own, after this one's answers have been written.
  boost::asio::post(loop_, [this] { now(); });
}

void Engine::leave_if_settled() {
  if (!listener_ || !listener_->owes()) end_serving();
}

void Engine::end_serving() {
  if (listener_) listener_->flush_all();
  loop_.stop();
}

}  // namespace poold::engine
