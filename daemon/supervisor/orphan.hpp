// A worker that an earlier supervisor started and that lived on after it: no child of ours, so it is watched
// and signalled by pidfd, and how it ended is not to be known. When it has ended, or had ended before, what
// is left of its session is killed to the last process; then it is reported as gone.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "common/seqpacket.hpp"

namespace poold::supervisor {

class Orphan : public std::enable_shared_from_this<Orphan> {
 public:
  using Gone = std::function<void()>;

  // An invalid `process` has ended already.
  Orphan(boost::asio::io_context& io, pid_t pid, const std::string& pool, FileDescriptor process);

  // `gone` is called once, from the loop.
  void watch(Gone gone);
  pid_t pid() const { return pid_; }
  bool was_alive() const { return process_ >= 0; }  // when it was found
  void signal(int number) const;

 private:
  void end_session();

  const pid_t pid_;
  const std::string variable_;                    // that all of its session were started with
  const int process_;                             // its pidfd, which is watch_'s
  boost::asio::posix::stream_descriptor watch_;   // on the worker
  boost::asio::posix::stream_descriptor member_;  // on some process of the dying session
  Gone gone_;
};

}  // namespace poold::supervisor
