// Several connections to one daemon: a call that waits has one for itself, and an idle one is used again.
// They stay open, because what was made and is held belongs to them.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "client/cpp/poold/multiprocessing.hpp"
#include "client/cpp/src/connection.hpp"

namespace poold::multiprocessing::detail {

class Lines {
 public:
  explicit Lines(const std::string& socket);

  // `timeout`: how long the daemon may have a reason to delay the answer.
  void call(std::string_view method, const google::protobuf::MessageLite& request,
            google::protobuf::MessageLite& response, Timeout timeout);
  void call(std::string_view method, const google::protobuf::MessageLite& request,
            google::protobuf::MessageLite& response) {
    call(method, request, response, std::chrono::milliseconds(0));
  }

 private:
  std::string socket_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<poold::Connection>> idle_;
};

}  // namespace poold::multiprocessing::detail
