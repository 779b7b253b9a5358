// Tells the service manager how the daemon is: the notification protocol of systemd (sd_notify(3)), in its
// own lines, because libsystemd would cost this process more memory than it has in all (see
// daemon/README.md).
//
// Without NOTIFY_SOCKET every call does nothing. When to say what is decided in supervisor_state.cpp.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>

#include "common/seqpacket.hpp"
#include "daemon/supervisor/ownership.hpp"

namespace poold::supervisor {

class ServiceManager {
 public:
  // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. Refuses what is set and cannot be understood: a
  // daemon that cannot report would be killed for its silence, much later and for no visible reason.
  static std::variant<ServiceManager, Refusal> from_environment();

  bool listens() const { return socket_.valid(); }
  // The service manager ends a service that is silent for so long; nothing if it does not watch.
  std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

  // Clients are served.
  void ready(const std::string& status);
  // One line for `systemctl status`. Not sent again while it stays the same.
  void status(const std::string& text);
  // A reload has begun; ready() ends it.
  void reloading();
  // The daemon ends, and may take so long from now.
  void stopping(const std::string& status, std::chrono::milliseconds limit);
  // The sign of life that the watchdog waits for.
  void alive();

 private:
  ServiceManager() = default;
  void send(const std::string& message);

  FileDescriptor socket_;  // connected; invalid where nobody listens
  std::optional<std::chrono::microseconds> watchdog_;
  std::string last_status_;
};

}  // namespace poold::supervisor
