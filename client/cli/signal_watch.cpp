#include "client/cli/signal_watch.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace poold::cli {

SignalWatch::SignalWatch() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&wanted, number);
  ::sigprocmask(SIG_BLOCK, &wanted, &before_);
  descriptor_ = FileDescriptor(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!descriptor_.valid()) throw std::system_error(errno, std::generic_category(), "signalfd");
}

SignalWatch::~SignalWatch() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

int SignalWatch::take() {
  signalfd_siginfo info{};
  return ::read(descriptor_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace poold::cli
