// What a service manager passes on: what is taken, and what is refused with which words. The whole exchange
// is under tests/system.
#include "daemon/supervisor/activation.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "daemon/supervisor/claim.hpp"
#include "daemon/supervisor/service_manager.hpp"
#include "tests/unit/supervisor/temporary_directory.hpp"

namespace poold::supervisor {
namespace {

// Descriptor 3 and the environment belong to a whole process: each case has one of its own, which says its
// result through a pipe.
std::string in_a_process(const std::function<std::string()>& what) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) std::abort();
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string said = what();
    [[maybe_unused]] const ssize_t written = ::write(ends[1], said.data(), said.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string said;
  char part[1024];
  for (ssize_t got; (got = ::read(ends[0], part, sizeof part)) > 0;)
    said.append(part, static_cast<std::size_t>(got));
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return said;
}

void pass(int socket, const char* count = "1") {
  if (socket != 3) ::dup2(socket, 3);
  ::setenv("LISTEN_FDS", count, 1);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
}

int bound(const std::string& path, int type, bool listens) {
  const int made = ::socket(AF_UNIX, type, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  // Without a path the kernel gives it an abstract name.
  const auto size = static_cast<socklen_t>(path.empty() ? sizeof address.sun_family : sizeof address);
  if (::bind(made, reinterpret_cast<sockaddr*>(&address), size) < 0) std::abort();
  if (listens && ::listen(made, 1) < 0) std::abort();
  return made;
}

std::string taken() {
  const auto result = take_passed_socket();
  if (const auto* refusal = std::get_if<Refusal>(&result)) return refusal->message;
  const auto& passed = std::get<PassedSocket>(result);
  return passed.socket.valid() ? "taken " + passed.path : "none";
}

TEST(PassedSocket, NoneWithoutTheWords) {
  EXPECT_EQ(in_a_process([] { return ::unsetenv("LISTEN_FDS"), taken(); }), "none");
}

TEST(PassedSocket, MeantForAnotherProcessIsNotOurs) {
  const TemporaryDirectory directory;
  EXPECT_EQ(in_a_process([&] {
              pass(bound(directory / "s", SOCK_STREAM, true));
              ::setenv("LISTEN_PID", "1", 1);
              return taken();
            }),
            "none");
}

TEST(PassedSocket, ListeningStreamSocketIsTakenAwayFromDescriptorThree) {
  const TemporaryDirectory directory;
  EXPECT_EQ(in_a_process([&] {
              pass(bound(directory / "s", SOCK_STREAM, true));
              const std::string said = taken();
              return said + (::fcntl(3, F_GETFD) < 0 ? "" : ", still open");
            }),
            "taken " + (directory / "s"));
}

TEST(PassedSocket, AnythingElseIsRefused) {
  const TemporaryDirectory directory;
  const auto refusal = [&](const std::function<void()>& make) {
    return in_a_process([&] { return make(), taken(); });
  };
  EXPECT_NE(
      refusal([&] { pass(bound(directory / "a", SOCK_STREAM, true), "2"); }).find("LISTEN_FDS=2: one socket"),
      std::string::npos);
  EXPECT_NE(refusal([&] { pass(bound(directory / "b", SOCK_DGRAM, false)); }).find("no stream socket"),
            std::string::npos);
  EXPECT_NE(refusal([&] { pass(bound(directory / "c", SOCK_STREAM, false)); }).find("does not listen"),
            std::string::npos);
  EXPECT_NE(refusal([&] { pass(bound("", SOCK_STREAM, true)); }).find("no path"), std::string::npos);
  EXPECT_NE(refusal([&] { pass(::open("/dev/null", O_RDWR)); }).find("no Unix socket"), std::string::npos);
}

TEST(PassedSocket, BoundElsewhereThanConfiguredIsRefused) {
  const TemporaryDirectory directory;
  auto refused = ControlSocket::adopt(
      directory / "wanted",
      {FileDescriptor(bound(directory / "given", SOCK_STREAM, true)), directory / "given"});
  ASSERT_TRUE(std::holds_alternative<Refusal>(refused));
  EXPECT_EQ(std::get<Refusal>(refused).message,
            "socket " + (directory / "wanted") + ": the service manager has passed another one, " +
                (directory / "given") + "; leave the choice to it, or name the same path");
}

TEST(PassedSocket, IsNotRemovedAtTheEnd) {
  const TemporaryDirectory directory;
  auto adopted = ControlSocket::adopt(
      directory / "s", {FileDescriptor(bound(directory / "s", SOCK_STREAM, true)), directory / "s"});
  std::get<ControlSocket>(adopted).remove();
  EXPECT_EQ(::access((directory / "s").c_str(), F_OK), 0);
}

TEST(ServiceManager, WhatCannotBeUnderstoodIsRefusedAtOnce) {
  const auto refusal = [](const char* socket, const char* watchdog) {
    return in_a_process([&] {
      ::setenv("NOTIFY_SOCKET", socket, 1);
      if (watchdog) ::setenv("WATCHDOG_USEC", watchdog, 1);
      const auto result = ServiceManager::from_environment();
      const auto* refused = std::get_if<Refusal>(&result);
      return refused ? refused->message : "accepted";
    });
  };
  const TemporaryDirectory directory;
  const int manager = bound(directory / "notify", SOCK_DGRAM, false);
  EXPECT_EQ(refusal((directory / "notify").c_str(), "2000000"), "accepted");
  EXPECT_EQ(refusal("", nullptr), "accepted");
  EXPECT_EQ(refusal("relative", nullptr),
            "NOTIFY_SOCKET=relative: neither an absolute path nor an abstract name (@...)");
  EXPECT_EQ(refusal("/nowhere/at/all", nullptr), "NOTIFY_SOCKET=/nowhere/at/all: No such file or directory");
  EXPECT_EQ(refusal((directory / "notify").c_str(), "soon"),
            "WATCHDOG_USEC=soon: not a number of microseconds");
  ::close(manager);
}

}  // namespace
}  // namespace poold::supervisor
