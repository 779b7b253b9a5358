// SIGINT, SIGTERM and SIGHUP as something to wait for beside a socket. While one lives they do not end
// poolctl by themselves; a signal that was ignored when poolctl started (a background job, nohup) stays
// ignored.
#pragma once

#include <signal.h>

#include "common/seqpacket.hpp"

namespace poold::cli {

class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  // Readable when a signal is there.
  int descriptor() const { return descriptor_.get(); }
  // The next one; 0 if there is none.
  int take();

 private:
  sigset_t before_;
  FileDescriptor descriptor_;
};

}  // namespace poold::cli
