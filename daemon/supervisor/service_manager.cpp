#include "daemon/supervisor/service_manager.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "daemon/supervisor/text.hpp"

namespace poold::supervisor {
namespace {

// `systemctl status` shows one line; more of it helps nobody.
constexpr std::size_t status_size_max = 400;

// Added to what an end may take: the last messages and the exit itself.
constexpr std::chrono::seconds exit_margin{5};

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::optional<std::uint64_t> parse(std::string_view text) {
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

Refusal refused(const char* name, std::string_view value, const std::string& reason) {
  return {std::string(name) + "=" + printable(value) + ": " + reason};
}

std::variant<FileDescriptor, Refusal> connect_to(std::string_view address_text) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (address_text[0] != '/' && address_text[0] != '@')
    return refused("NOTIFY_SOCKET", address_text, "neither an absolute path nor an abstract name (@...)");
  if (address_text.size() >= sizeof address.sun_path)
    return refused("NOTIFY_SOCKET", address_text, "longer than a socket's address");
  address_text.copy(address.sun_path, address_text.size());
  if (address_text[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_text.size());
  FileDescriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid() || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) < 0)
    return refused("NOTIFY_SOCKET", address_text, std::strerror(errno));
  return socket;
}

std::uint64_t monotonic_us() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
}

}  // namespace

std::variant<ServiceManager, Refusal> ServiceManager::from_environment() {
  ServiceManager manager;
  const std::string_view address = variable("NOTIFY_SOCKET");
  if (address.empty()) return manager;
  auto socket = connect_to(address);
  if (auto* refusal = std::get_if<Refusal>(&socket)) return std::move(*refusal);
  manager.socket_ = std::get<FileDescriptor>(std::move(socket));

  const std::string_view watchdog = variable("WATCHDOG_USEC"), pid = variable("WATCHDOG_PID");
  // Inherited through somebody else's exec: it is not us that is watched.
  if (watchdog.empty() || (!pid.empty() && parse(pid) != static_cast<std::uint64_t>(::getpid())))
    return manager;
  const auto microseconds = parse(watchdog);
  if (!microseconds || *microseconds == 0)
    return refused("WATCHDOG_USEC", watchdog, "not a number of microseconds");
  manager.watchdog_ = std::chrono::microseconds(*microseconds);
  return manager;
}

void ServiceManager::send(const std::string& message) {
  if (!socket_.valid()) return;
  // A service manager that is gone is not our concern; one that is slow is waited for.
  while (::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

void ServiceManager::ready(const std::string& status) {
  last_status_ = printable(status, status_size_max);
  send("READY=1\nSTATUS=" + last_status_ + "\n");
}

void ServiceManager::status(const std::string& text) {
  std::string shown = printable(text, status_size_max);
  if (shown == last_status_) return;
  last_status_ = std::move(shown);
  send("STATUS=" + last_status_ + "\n");
}

void ServiceManager::reloading() {
  // systemd before 253 does not ask for the time; later ones want it.
  send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_us()) + "\n");
}

void ServiceManager::stopping(const std::string& status, std::chrono::milliseconds limit) {
  last_status_ = printable(status, status_size_max);
  const std::chrono::microseconds extension = limit + exit_margin;
  send("STOPPING=1\nSTATUS=" + last_status_ + "\nEXTEND_TIMEOUT_USEC=" + std::to_string(extension.count()) +
       "\n");
}

void ServiceManager::alive() {
  if (watchdog_) send("WATCHDOG=1\n");
}

}  // namespace poold::supervisor
