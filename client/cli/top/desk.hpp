// Asks the daemon for top, on a thread of its own, so that keys are answered while a daemon is slow or gone.
// One connection, made anew after it broke; one question at a time, in order. What comes back is taken from
// take() when descriptor() is readable. It knows no screen.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "client/cli/top/model.hpp"
#include "client/cpp/src/connection.hpp"
#include "common/seqpacket.hpp"

namespace poold::cli::top {

struct Lost {
  std::string why;
};
struct Answer {
  std::string text;
  bool wrong = false;
};
struct LogLines {
  std::string id;
  std::vector<std::string> lines;
};
using News = std::variant<Snapshot, Lost, Answer, Sheet, LogLines>;

// Everything top shows. Throws Error.
Snapshot ask_snapshot(Connection& connection, bool ended_too);

// The end of a log that is read piece by piece, as lines.
class LogEnd {
 public:
  // Begins anew if it is about another task.
  std::vector<std::string> read(Connection& connection, const std::string& id);

 private:
  std::string id_;
  std::uint32_t attempt_ = 0;
  std::uint64_t offset_ = 0;
  std::string text_;  // escaped
};

class Desk {
 public:
  explicit Desk(std::string socket_path);
  // Waits for the question that is being asked.
  ~Desk();
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  void refresh(bool ended_too);
  // Not quit, and not redraw. The log of `show_log` is asked for again by each `log`.
  void ask(Wish wish);
  // A question is asked or waits to be.
  bool busy() const;
  int descriptor() const { return event_.get(); }
  std::vector<News> take();

 private:
  using Errand = std::function<News(Connection&)>;
  void add(Errand errand);
  void run();
  void tell(News news);

  std::string socket_path_;
  FileDescriptor event_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Errand> errands_;
  std::vector<News> news_;
  bool asking_ = false;
  bool stopping_ = false;
  LogEnd log_;  // the thread's
  std::thread thread_;
};

}  // namespace poold::cli::top
