// How fast tasks are accepted: accept_bench POOL WINDOW COUNT, with the socket in POOLD_SOCKET.
//
// Submits COUNT no-ops to POOL, which somebody holds paused so that nothing of its processors goes elsewhere,
// with at most WINDOW of them unanswered, and waits for each `accepted`: of a disk pool, that is the promise
// that the task survives a crash. The tasks stay queued. Each must be accepted once, under an id of its own,
// and nothing else may come. Prints lines of a name and a number. stream_bench.cpp runs tasks to their end.
#include <poll.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <vector>

#include "client/cpp/src/frame_stream.hpp"
#include "common/endpoint.hpp"
#include "common/frame_message.hpp"
#include "poold/v1/stream.pb.h"
#include "tests/bench/work.hpp"

namespace {

using namespace poold::bench;

class Submissions {
 public:
  Submissions(const std::string& pool, std::size_t window, std::size_t count)
      : window_(window), count_(count), waiting_(count, true) {
    ids_.reserve(count);
    auto& submit = *frame_.mutable_submit();
    submit.set_want_accepted(true);
    submit.mutable_task()->set_pool(pool);
    submit.mutable_task()->mutable_function()->set_name("noop");
  }

  void run() {
    while (ids_.size() < count_) {
      // Half a window at a time, so that frames travel together.
      if (sent_ - ids_.size() <= window_ / 2) send();
      receive();
    }
  }

 private:
  void send() {
    for (; sent_ < count_ && sent_ - ids_.size() < window_; ++sent_) {
      frame_.mutable_submit()->set_tag(sent_);
      stream_.send(frame_);
    }
    stream_.flush();
  }

  void receive() {
    switch (stream_.read_some()) {
      case poold::FrameStream::Read::closed:
        throw std::runtime_error("the daemon hung up");
      case poold::FrameStream::Read::nothing: {
        pollfd watched{stream_.descriptor(), POLLIN, 0};
        ::poll(&watched, 1, -1);
        return;
      }
      case poold::FrameStream::Read::some:
        while (const auto payload = stream_.next()) take(*payload);
    }
  }

  void take(std::string_view payload) {
    if (!poold::parse_message(answer_, payload) || !answer_.has_accepted())
      throw std::runtime_error("not accepted: " + answer_.ShortDebugString());
    const auto& accepted = answer_.accepted();
    if (accepted.tag() >= count_ || !waiting_[accepted.tag()] || !ids_.insert(accepted.id()).second)
      throw std::runtime_error("accepted twice: " + accepted.ShortDebugString());
    waiting_[accepted.tag()] = false;
  }

  std::size_t window_, count_, sent_ = 0;
  std::vector<bool> waiting_;
  std::unordered_set<std::string> ids_;
  poold::v1::ClientFrame frame_;
  poold::v1::ServerFrame answer_;
  poold::FrameStream stream_{
      {poold::client_socket_path({}), std::chrono::seconds(10), false, "accept_bench"}};
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::fprintf(stderr, "usage: accept_bench POOL WINDOW COUNT\n");
    return 2;
  }
  const std::size_t window = std::stoul(argv[2]), count = std::stoul(argv[3]);
  if (window == 0) throw std::invalid_argument("WINDOW: above 0 is wanted");
  Submissions submissions(argv[1], window, count);
  const auto begin = Clock::now();
  submissions.run();
  std::printf("tasks_per_s %.0f\n", static_cast<double>(count) / seconds_since(begin));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "accept_bench: %s\n", error.what());
  return 1;
}
