#include "client/cpp/src/lines.hpp"

#include "common/endpoint.hpp"

namespace poold::multiprocessing::detail {

Lines::Lines(const std::string& socket) : socket_(client_socket_path(socket)) {}

void Lines::call(std::string_view method, const google::protobuf::MessageLite& request,
                 google::protobuf::MessageLite& response, Timeout timeout) {
  std::unique_ptr<poold::Connection> line;
  {
    const std::scoped_lock lock(mutex_);
    // The one used last: what a thread holds, it most likely releases over the same connection.
    if (!idle_.empty()) {
      line = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!line) line = std::make_unique<poold::Connection>(socket_);
  const auto give_back = [&] {
    const std::scoped_lock lock(mutex_);
    idle_.push_back(std::move(line));
  };
  try {
    line->call(method, request, response, timeout ? *timeout + line->answer_timeout() : no_timeout);
  } catch (...) {
    give_back();  // a refusal leaves the connection, and what it holds, as they were
    throw;
  }
  give_back();
}

}  // namespace poold::multiprocessing::detail
